// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: what a device's taps are told of frames that are dropped.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "usernic/context.h"
#include "usernic/device_handle.h"
#include "usernic/frame_tap.h"
#include "usernic/lock.h"

namespace usernic {

// "out: the device is down" of each, in order, while it lives.
class Drops final : public FrameTap {
 public:
  explicit Drops(NetDevice& dev) : dev_(dev), attached_(attach_tap(dev, *this).has_value()) {}
  ~Drops() {
    if (attached_) detach_tap(*dev_, *this);
  }
  Drops(const Drops&) = delete;
  Drops& operator=(const Drops&) = delete;

  uint64_t see(const Skb&, FrameWay way) noexcept override { return way == FrameWay::kIn; }
  void settle(uint64_t seen, FrameFate fate, DropReason why) noexcept override {
    if (fate != FrameFate::kDropped) return;
    const BlockingByDesign a_test_may;
    SpinGuardBh guard(lock_);
    USERNIC_BLOCKING_BY_DESIGN_BEGIN
    notes_.push_back(std::string(seen != 0 ? "in: " : "out: ") + why.text());
    USERNIC_BLOCKING_BY_DESIGN_END
  }
  std::vector<std::string> take() {
    SpinGuardBh guard(lock_);
    return std::exchange(notes_, {});
  }

 private:
  static constexpr LockClass kClass{"test_drops", LockUse::kAnyContext};
  const DeviceHandle dev_;
  SpinLock lock_{kClass};
  std::vector<std::string> notes_ USERNIC_GUARDED_BY(lock_);
  const bool attached_;  // last: frames may be dropped at once
};
using DropNotes = std::vector<std::string>;

}  // namespace usernic
