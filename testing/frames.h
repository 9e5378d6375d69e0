// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: frames as octets, kept in the order in which they came.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "testing/watch.h"
#include "usernic/lock.h"
#include "usernic/skb.h"

namespace usernic {

using Frame = std::vector<uint8_t>;
using All = std::vector<Frame>;

class Frames {
 public:
  void take(SkbBatch& frames) noexcept USERNIC_NONBLOCKING {
    while (Skb* const skb = frames.pop_front()) {
      take(*skb);
    }
  }
  void take(Skb& skb) noexcept USERNIC_NONBLOCKING {
    note(skb);
    SkbPool::free(skb);
  }
  // The frame stays the caller's.
  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a test may
      void
      note(const Skb& skb) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign allowed;
    {
      SpinGuardBh guard(lock_);
      all_.emplace_back(skb.bytes().begin(), skb.bytes().end());
    }
    came_.set();
  }
  USERNIC_BLOCKING_BY_DESIGN_END
  // The frames so far, which are forgotten. Waits until there were `count` of them since the last call.
  All wait(uint32_t count) {
    EXPECT_TRUE(came_.wait(seen_ + count)) << "fewer than " << count << " frames";
    SpinGuardBh guard(lock_);
    seen_ += static_cast<uint32_t>(all_.size());
    return std::exchange(all_, {});
  }
  All now() { return wait(0); }
  // The same, which stay.
  All look() const {
    SpinGuardBh guard(lock_);
    return all_;
  }
  bool contains(const Frame& frame) const {
    SpinGuardBh guard(lock_);
    return std::ranges::find(all_, frame) != all_.end();
  }

 private:
  static constexpr LockClass kClass{"test_frames"};
  mutable SpinLock lock_{kClass};
  All all_ USERNIC_GUARDED_BY(lock_);
  Event came_;
  uint32_t seen_ = 0;
};

}  // namespace usernic
