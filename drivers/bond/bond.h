// SPDX-License-Identifier: Apache-2.0 OR MIT
// bond: several lower devices as one.
//
//   active-backup   one is active: the primary while it is usable (up, present, with carrier), else the one that was,
//                   else the first usable one that was added
//   802.3ad         every usable one is active: a link aggregation. Frames of one flow (addresses, type, IP addresses)
//                   go out by one of them, in order
//
// Without an active one the bond has no carrier. Only active ones send and are told what the bond wants received; what
// others receive is dropped. A new one is told everything before an old one is told to forget it. Link-local groups
// (01:80:c2:00:00:0x) are each lower device's own: in the mode 802.3ad that of LACP is wanted of each, for whoever on
// its own port negotiates with the switch. All have the bond's address as long as they are in it. Its MTU is at most
// the smallest of theirs. [kernel: drivers/net/bonding, fail_over_mac=none]
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "usernic/driver.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

enum class BondMode : uint8_t { kActiveBackup, k8023ad };

class Bond {
 public:
  // A bond without lower devices, not registered yet.
  static Result<NetdevPtr> probe(Net& net, const NetdevConfig& config, BondMode mode = BondMode::kActiveBackup) {
    return net.alloc_netdev<Bond>(config, mode);
  }
  static Bond& of(NetDevice& dev) noexcept { return *static_cast<Bond*>(dev.driver()); }

  Bond(NetDevice& dev, BondMode mode);
  ~Bond();

  // Context of these: process, no locks; not while the bond is being unregistered.
  // Gives `lower` the bond's address, opens it and takes it in. ENODEV: the bond is not registered. EBUSY: `lower` is
  // in a bond, or has macvlans. Its own errors, and those of LowerLink::link, leave it out.
  Result<> add_lower(NetDevice& lower);
  // Gives it its own address back. ENOENT: it is not in this bond.
  Result<> remove_lower(NetDevice& lower);
  // Preferred while it is usable; null: none is. ENOENT. EOPNOTSUPP: there is none in the mode 802.3ad.
  Result<> set_primary(const NetDevice* lower);
  DeviceHandle active() const;                // the first of those that are
  std::vector<DeviceHandle> actives() const;  // in the order they were added

  Features hw_features() const { return kPassedDown; }
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // EINVAL: more than the smallest of the lower devices.
  Result<> change_mtu(uint32_t mtu);
  // The lower devices get it soon.
  Result<> set_mac_address(const MacAddress&);

 private:
  struct Slave;
  using Slaves = std::vector<std::unique_ptr<Slave>>;
  static constexpr size_t kSlavesMax = 63;  // [lower_link.h]
  struct Choice {
    std::array<Slave*, kSlavesMax> slaves{};
    uint32_t count = 0;
  };

  void lowers_changed();
  void select();
  void activate(const Choice& next);
  Choice choose() const;
  Slave* choose_one() const;
  std::unique_ptr<Slave> drop(Slaves::iterator slave);
  Slaves forget_gone();
  Slaves::iterator find(const NetDevice& lower);
  void pass_address_on();

  NetDevice& dev_;
  const BondMode mode_;
  Workqueue queue_;  // not the lane: its item operates lower devices
  Work changed_;
  // Under rtnl.
  Slaves slaves_;
  Slaves left_;  // when the bond was unregistered
  Slave* primary_ = nullptr;
  // The active ones. Read by senders, under an xmit lock.
  std::array<Atomic<Slave*>, kSlavesMax> active_{};
  Atomic<uint32_t> active_count_{0};
};

}  // namespace usernic
// Explained best by: drivers/bond/bond_test.cc
