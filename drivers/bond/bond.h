// SPDX-License-Identifier: Apache-2.0 OR MIT
// bond: several lower devices as one, of which one is used at a time (active-backup).
//
// The active one is the primary while it is usable (up, present, with carrier), else the one that was active, else the
// first usable one that was added; without one the bond has no carrier. Only the active one sends and is told what the
// bond wants received; what the others receive is dropped, except link-local groups (01:80:c2:00:00:0x), which go to
// their own ports. At a failover the new one is told everything before the old one is told to forget it.
// All lower devices have the bond's address as long as they are in it. Its MTU is at most the smallest of theirs.
// [kernel: drivers/net/bonding, mode=active-backup fail_over_mac=none]
#pragma once

#include <memory>
#include <vector>

#include "usernic/driver.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

class Bond {
 public:
  // A bond without lower devices, not registered yet.
  static Result<NetdevPtr> probe(Net& net, const NetdevConfig& config) { return net.alloc_netdev<Bond>(config); }
  static Bond& of(NetDevice& dev) noexcept { return *static_cast<Bond*>(dev.driver()); }

  explicit Bond(NetDevice& dev);
  ~Bond();

  // Context of these: process, no locks; not while the bond is being unregistered.
  // Gives `lower` the bond's address, opens it and takes it in. ENODEV: the bond is not registered. EBUSY: `lower` is
  // in a bond, or has macvlans. Its own errors, and those of LowerLink::link, leave it out.
  Result<> add_lower(NetDevice& lower);
  // Gives it its own address back. ENOENT: it is not in this bond.
  Result<> remove_lower(NetDevice& lower);
  // Preferred while it is usable; null: none is. ENOENT.
  Result<> set_primary(const NetDevice* lower);
  DeviceHandle active() const;

  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // EINVAL: more than the smallest of the lower devices.
  Result<> change_mtu(uint32_t mtu);
  // The lower devices follow soon.
  Result<> set_mac_address(const MacAddress&);

 private:
  struct Slave;
  using Slaves = std::vector<std::unique_ptr<Slave>>;

  void lowers_changed();
  void select();
  void activate(Slave* next);
  Slave* choose() const;
  std::unique_ptr<Slave> drop(Slaves::iterator slave);
  Slaves forget_gone();
  Slaves::iterator find(const NetDevice& lower);
  void pass_address_on();

  NetDevice& dev_;
  Workqueue queue_;  // not the lane: its item operates lower devices
  Work changed_;
  // Under rtnl.
  Slaves slaves_;
  Slaves left_;  // when the bond was unregistered
  Slave* primary_ = nullptr;
  Atomic<Slave*> active_{nullptr};  // read by senders, under an xmit lock, and by receivers
};

}  // namespace usernic
// Explained best by: drivers/bond/bond_test.cc
