// SPDX-License-Identifier: Apache-2.0 OR MIT
// macvlan: several devices, each with an address of its own, on one lower device.
//
//   bridge     frames between the macvlans of a lower device are switched on the spot
//   private    they do not see each other
//   passthru   the only one on its lower device: it gets every frame, and has the lower device's address
//
// While it is up, what it wants received is wanted of the lower device too, and so is its own address; in passthru mode
// it is promiscuous instead. It has the lower device's carrier and at most its MTU. When the lower device goes it
// stays, without carrier. Frames that the lower device has no room for wait (LowerLink::xmit). [kernel:
// drivers/net/macvlan.c]
#pragma once

#include "usernic/driver.h"
#include "usernic/frame_tap.h"
#include "usernic/lower_link.h"
#include "usernic/napi.h"
#include "usernic/net.h"

namespace usernic {

class MacvlanPort;

enum class MacvlanMode : uint8_t { kBridge, kPrivate, kPassthru };

class Macvlan {
 public:
  // A macvlan on `lower`, not registered yet, with a random address unless one is given. What `register_netdev` adds:
  // EADDRINUSE; EINVAL, passthru and others do not go together; EBUSY; and the errors of LowerLink::link.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, NetDevice& lower, MacvlanMode mode);

  Macvlan(NetDevice& dev, NetDevice& lower, MacvlanMode mode);

  // Superframes of UDP may be for a group, whose members get copies.
  Features hw_features() const { return kPassedDown.without({Feature::kUso}); }
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // EINVAL: more than the lower device's.
  Result<> change_mtu(uint32_t mtu);
  // EADDRINUSE: another one there has it. EOPNOTSUPP: passthru.
  Result<> set_mac_address(const MacAddress& address);
  // Its filter is software, and has room for everything.
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = kSlots, .multicast_slots = kSlots}; }
  void set_rx_mode_async(RxPlan& plan);
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING;
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;

  // For its port, in an RxSection of the lower device.
  NetDevice& dev() const noexcept { return dev_; }
  MacvlanMode mode() const noexcept { return mode_; }
  bool accepts(const MacAddress& group) const noexcept USERNIC_NONBLOCKING;  // a multicast, while it is up
  bool lists_unicast(const MacAddress& address) const noexcept USERNIC_NONBLOCKING;
  // From another macvlan, whose xmit lock is held: received from the poll thread, as if by an interrupt.
  void receive_later(Skb& skb) noexcept USERNIC_NONBLOCKING;
  // A frame that was for it, and is not received.
  void lose(const Skb& skb, DropReason why) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr uint32_t kSlots = 1u << 20;
  static constexpr uint32_t kBacklogMax = 1000;  // frames [kernel: net.core.netdev_max_backlog]
  static constexpr LockClass kBacklogClass{"macvlan_backlog"};

  void lower_changed();

  NetDevice& dev_;
  const DeviceHandle lower_;  // stays in memory; whether it is still there, the link knows
  const MacvlanMode mode_;
  MacvlanPort* port_ = nullptr;  // from init to uninit
  Work changed_;
  LowerLink link_;
  Napi napi_;
  QueueCounters dropped_;
  SpinLock backlog_lock_{kBacklogClass};
  SkbBatch backlog_ USERNIC_GUARDED_BY(backlog_lock_);
};

}  // namespace usernic
// Explained best by: drivers/macvlan/macvlan_test.cc
