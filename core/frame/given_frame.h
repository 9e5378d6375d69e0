// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the frame that start_xmit has in hand while taps see it, on the stack around the call; who drops it there says
// why.
//
// Of its thread: an lltx driver has several in hand at once. One of a device above is around that of the one below.
#pragma once

#include <utility>

#include "core/frame/taps.h"
#include "usernic/atomic.h"

namespace usernic {

class GivenFrame {
 public:
  explicit GivenFrame(const Taps& taps) noexcept USERNIC_NONBLOCKING : taps_(taps),
                                                                       around_(std::exchange(innermost(), this)) {}
  ~GivenFrame() noexcept USERNIC_NONBLOCKING { innermost() = around_; }
  GivenFrame(const GivenFrame&) = delete;
  GivenFrame& operator=(const GivenFrame&) = delete;

  DropReason dropped() const noexcept USERNIC_NONBLOCKING { return dropped_; }

  // Of the frame that was given to the device of these taps; nothing where they see none.
  static void say(const Taps& taps, DropReason why) noexcept USERNIC_NONBLOCKING {
    for (GivenFrame* each = innermost(); each != nullptr; each = each->around_) {
      if (&each->taps_ == &taps) return void(each->dropped_ = why);
    }
  }

 private:
  static GivenFrame*& innermost() noexcept USERNIC_NONBLOCKING { return Local<GivenFrame*, GivenFrame>::get(); }

  const Taps& taps_;
  GivenFrame* const around_;
  DropReason dropped_ = "by the driver";
};

}  // namespace usernic
