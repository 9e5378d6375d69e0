// SPDX-License-Identifier: Apache-2.0 OR MIT
// vlan: an 802.1Q VLAN of another device: its frames carry the tag below, and none above.
//
// It has the lower device's carrier, at most its MTU, and unless it is given one, its address. While it is up, what it
// wants received is wanted of the lower device too; its id is, from registration on, among those that the lower
// device's VLAN filter passes. When the lower device goes, the VLAN stays, without carrier. Frames that the
// lower device has no room for wait (LowerLink::xmit). [kernel: net/8021q]
#pragma once

#include "usernic/driver.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"

namespace usernic {

class VlanDemux;

class Vlan {
 public:
  // A VLAN on `lower`, not registered yet. ERANGE: id above 4094. What `register_netdev` adds: EEXIST, the id is taken;
  // EBUSY, somebody else handles tags there; and the errors of LowerLink::link.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, NetDevice& lower, uint16_t id);

  Vlan(NetDevice& dev, NetDevice& lower, uint16_t id);

  Features hw_features() const { return kPassedDown; }
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // ERANGE: more than the lower device's.
  Result<> change_mtu(uint32_t mtu);
  Result<> set_mac_address(const MacAddress&) { return {}; }  // any will do; the link passes it on

 private:
  void lower_changed();

  NetDevice& dev_;
  const DeviceHandle lower_;  // stays in memory; whether it is still there, the link knows
  const uint16_t id_;
  VlanDemux* demux_ = nullptr;
  Work changed_;
  LowerLink link_;
};

}  // namespace usernic
// Explained best by: drivers/vlan/vlan_test.cc
