// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: an ear and a mouth on a wire, for tests and demos.
//
// It hears everything, counts it, and keeps copies of the first `kept_max` frames; it can say something itself; and
// somebody can wait until it has heard enough. Memory is fixed at construction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "drivers/simnic/wire.h"
#include "usernic/env.h"
#include "usernic/lock.h"

namespace usernic::simnic {

class WireTap final : public WireEnd {
 public:
  static constexpr uint32_t kFrameMax = 10240;

  explicit WireTap(std::shared_ptr<Wire> wire, size_t kept_max = 0);
  ~WireTap();
  WireTap(const WireTap&) = delete;
  WireTap& operator=(const WireTap&) = delete;

  void hear(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING override USERNIC_EXCLUDES(lock_);
  // Context: process or BH.
  void say(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING { wire_->send(*this, frames); }
  void say(Frame frame) noexcept USERNIC_NONBLOCKING { say(std::span(&frame, 1)); }

  uint32_t heard() const noexcept USERNIC_NONBLOCKING { return heard_.load(); }
  // Sleeps until it has heard `count` frames in all. Returns false at the deadline. Context: process.
  bool wait_heard(uint32_t count, Time deadline) const;
  // Copies of the first frames. Context: process.
  std::vector<std::vector<uint8_t>> kept() const USERNIC_EXCLUDES(lock_);

 private:
  static constexpr LockClass kLockClass{"simnic_tap"};

  const std::shared_ptr<Wire> wire_;
  const size_t kept_max_;
  const std::unique_ptr<uint8_t[]> memory_;  // kept_max_ * kFrameMax
  Atomic<uint32_t> heard_{0};
  mutable SpinLock lock_{kLockClass};
  std::vector<uint32_t> kept_sizes_ USERNIC_GUARDED_BY(lock_);  // capacity kept_max_
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/wire_test.cc
