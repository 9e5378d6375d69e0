// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a port that keeps what it is given, octet by octet, and takes the superframes that it says.
#pragma once

#include <vector>

#include "testing/inet_frames.h"
#include "testing/watch.h"
#include "usernic/lock.h"
#include "usernic/port.h"

namespace usernic {

struct OctetPort final : DevicePort {
  explicit OctetPort(Features takes) : kinds(takes) {}
  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a test may
      void
      receive(SkbBatch& frames) noexcept override {
    const BlockingByDesign allowed;
    if (waits_for != nullptr) waits_for->wait();
    {
      SpinGuardBh guard(lock);
      for (const Skb* skb = frames.front(); skb != nullptr; skb = Skb::chain_next(*skb)) {
        received.push_back(octets_of(*skb));
        offloads.push_back(skb->offload());
      }
    }
    arrived.set();
  }
  USERNIC_BLOCKING_BY_DESIGN_END
  void tx_wake(TxQueue&) noexcept override { woken.set(); }
  void carrier_changed(bool) noexcept override {}
  Features superframes() const noexcept override { return kinds; }
  std::vector<Octets> now() {
    SpinGuardBh guard(lock);
    return received;
  }

  static constexpr LockClass kLockClass{"octet_port"};
  const Features kinds;
  SpinLock lock{kLockClass};
  std::vector<Octets> received;
  std::vector<Offload> offloads;
  Event arrived, woken;
  const Event* waits_for = nullptr;
};

}  // namespace usernic
