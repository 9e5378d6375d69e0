// SPDX-License-Identifier: Apache-2.0 OR MIT
// dummy: the smallest whole driver. Its link is up from open on, until somebody turns it off; it drops what it is
// given.
//
// Read this one first. A driver is an ordinary class whose members are the netdevice ops; what is absent is not
// supported: no filter here, no statistics of the hardware (the core counts what was sent). The core calls open, then
// start_xmit as often as there are frames, then stop; include/usernic/driver.h says for every op which locks are held
// and whether it may sleep.
#pragma once

#include "usernic/driver.h"
#include "usernic/net.h"

namespace usernic {

class Dummy {
 public:
  // A device without hardware, not registered yet: `(*dev)->register_netdev()` shows it. Context: process.
  static Result<NetdevPtr> probe(Net& net, const NetdevConfig& config) { return net.alloc_netdev<Dummy>(config); }

  explicit Dummy(NetDevice& dev) : dev_(dev) {}

  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  Result<> set_mac_address(const MacAddress&) { return {}; }  // any will do
  Result<> change_carrier(bool on);

 private:
  NetDevice& dev_;
};

}  // namespace usernic
// Explained best by: drivers/dummy/dummy_test.cc
