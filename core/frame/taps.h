// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the taps of one device (usernic/frame_tap.h), and the way past them.
//
// Who has frames looks at one word, once a batch, and goes on when it is 0. Else he is in a section while he calls
// them, for which `remove` waits.
#pragma once

#include <array>
#include <bit>

#include "core/lock/sections.h"
#include "usernic/frame_tap.h"
#include "usernic/lock.h"
#include "usernic/skb.h"

namespace usernic {

class Taps {
 public:
  class Section;

  bool none() const noexcept USERNIC_NONBLOCKING { return used_.load(std::memory_order_relaxed) == 0; }

  // As attach_tap, detach_tap.
  Result<> add(FrameTap& tap);
  void remove(FrameTap& tap, Place where) noexcept;
  // The device is unregistered: all are off, are told so, and none comes any more.
  void close() noexcept;

  // Each one at once. Context: any.
  void received(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  void dropped(const Skb& skb, FrameWay way, DropReason why) noexcept USERNIC_NONBLOCKING;
  void dropped(SkbBatch& frames, FrameWay way, DropReason why) noexcept USERNIC_NONBLOCKING;
  void rx_mode_changed() noexcept;

 private:
  void see_all(SkbBatch& frames, FrameWay way, FrameFate fate, DropReason why) noexcept USERNIC_NONBLOCKING;

  static constexpr LockClass kClass{"device_taps"};
  Mutex lock_{kClass};
  bool closed_ USERNIC_GUARDED_BY(lock_) = false;
  std::array<Atomic<FrameTap*>, kFrameTapsMax> taps_{};  // those whose bit is set; written under the lock
  Atomic<uint32_t> used_{0};
  Sections sections_;
};

// Those that are there, for a scope that sees frames.
class Taps::Section {
 public:
  explicit Section(Taps& taps) noexcept USERNIC_NONBLOCKING : taps_(taps) {
    if (!taps.none()) [[unlikely]]
      enter();
  }
  ~Section() noexcept USERNIC_NONBLOCKING {
    if (entered_) [[unlikely]]
      taps_.sections_.leave(phase_);
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  bool empty() const noexcept USERNIC_NONBLOCKING { return used_ == 0; }
  template <class Call>
  void each(Call&& call) const noexcept {
    for (uint32_t left = used_; left != 0; left &= left - 1) {
      const auto at = static_cast<size_t>(std::countr_zero(left));
      call(*taps_.taps_[at].load(std::memory_order_relaxed), at);
    }
  }

 private:
  void enter() noexcept USERNIC_NONBLOCKING {
    entered_ = true;
    phase_ = taps_.sections_.enter();
    used_ = taps_.used_.load();
  }

  Taps& taps_;
  bool entered_ = false;
  uint32_t phase_ = 0;
  uint32_t used_ = 0;
};

// One frame, from `see` to `settle`.
class SeenFrame {
 public:
  SeenFrame(const Taps::Section& taps, const Skb& skb, FrameWay way) noexcept USERNIC_NONBLOCKING : taps_(taps) {
    taps_.each([&](FrameTap& tap, size_t at) noexcept USERNIC_NONBLOCKING { seen_[at] = tap.see(skb, way); });
  }
  void settle(FrameFate fate, DropReason why = {}) const noexcept USERNIC_NONBLOCKING {
    taps_.each([&](FrameTap& tap, size_t at) noexcept USERNIC_NONBLOCKING { tap.settle(seen_[at], fate, why); });
  }

 private:
  const Taps::Section& taps_;
  std::array<uint64_t, kFrameTapsMax> seen_;
};

}  // namespace usernic
