// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: for tests, what sits on a device: counts frames, remembers their order, and can be waited for.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "drivers/simnic/test_frames.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/port.h"
#include "usernic/skb.h"

namespace usernic::simnic {

class CapturePort final : public DevicePort {
 public:
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override {
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      const uint32_t number = number_of(skb->bytes());
      if (number < last_number_) out_of_order_.fetch_add(1);
      last_number_ = number;
      last_size_.store(skb->size());
    }
    const uint32_t count = frames.size();
    if (keep_.load()) {
      SpinGuardBh guard(lock_);
      kept_.splice(frames);
    }
    received_.fetch_add(count);
    wake_all(received_);
  }
  void tx_wake(TxQueue&) noexcept USERNIC_NONBLOCKING override {
    wakes_.fetch_add(1);
    wake_all(wakes_);
  }
  void carrier_changed(bool on) noexcept USERNIC_NONBLOCKING override {
    (on ? carrier_ups_ : carrier_downs_).fetch_add(1);
    wake_all(carrier_ups_);
    wake_all(carrier_downs_);
  }

  // Sleep until the count is reached; false at the deadline.
  static bool wait_for(const Atomic<uint32_t>& count, uint32_t target) {
    const Time deadline = soon();
    for (uint32_t seen; (seen = count.load()) < target;) {
      if (!wait_on(count, seen, deadline)) return count.load() >= target;
    }
    return true;
  }
  bool wait_received(uint32_t count) const { return wait_for(received_, count); }

  uint32_t received() const noexcept { return received_.load(); }
  uint32_t out_of_order() const noexcept { return out_of_order_.load(); }
  uint32_t last_size() const noexcept { return last_size_.load(); }
  const Atomic<uint32_t>& wakes() const noexcept { return wakes_; }
  const Atomic<uint32_t>& carrier_ups() const noexcept { return carrier_ups_; }
  const Atomic<uint32_t>& carrier_downs() const noexcept { return carrier_downs_; }

  // From now on frames are not given back until release().
  void keep() noexcept { keep_.store(true); }
  void release() noexcept {
    keep_.store(false);
    SkbBatch frames;
    {
      SpinGuardBh guard(lock_);
      frames.splice(kept_);
    }
  }

 private:
  static constexpr LockClass kLockClass{"capture_port"};
  Atomic<uint32_t> received_{0}, out_of_order_{0}, last_size_{0}, wakes_{0}, carrier_ups_{0}, carrier_downs_{0};
  Atomic<bool> keep_{false};
  uint32_t last_number_ = 0;  // the poll thread's
  SpinLock lock_{kLockClass};
  SkbBatch kept_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic::simnic
