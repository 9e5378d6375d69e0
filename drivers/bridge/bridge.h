// SPDX-License-Identifier: Apache-2.0 OR MIT
// bridge: a switch of several devices, its ports, and a device of its own, by which this host is at it.
//
// A frame that comes in at a port teaches where its sender is. It goes to the port where its receiver is; to all others
// when that is not known, or it is a broadcast or multicast; never back where it came from. What is for the bridge's
// own addresses, and every multicast, its device receives. Link-local groups (01:80:c2:00:00:0x) stay with the port's
// own device. Ports are promiscuous as long as they are in it, and what the bridge wants received is wanted of each. It
// has carrier while one of them is usable; its MTU is at most the smallest of theirs. [kernel: net/bridge]
#pragma once

#include <array>
#include <vector>

#include "drivers/bridge/fdb.h"
#include "usernic/driver.h"
#include "usernic/frame_tap.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

class Bridge {
 public:
  static constexpr size_t kPortsMax = 63;
  static constexpr Duration kAgeing = std::chrono::seconds(300);  // [802.1D: table 7-5]

  // A bridge without ports, not registered yet.
  static Result<NetdevPtr> probe(Net& net, const NetdevConfig& config, Duration ageing = kAgeing) {
    return net.alloc_netdev<Bridge>(config, ageing);
  }
  static Bridge& of(NetDevice& dev) noexcept { return *static_cast<Bridge*>(dev.driver()); }

  Bridge(NetDevice& dev, Duration ageing);
  ~Bridge();

  // Context of these: process, no locks; not while the bridge is being unregistered.
  // Takes `lower` in; whoever owns it opens it. ENODEV: the bridge is not registered. EBUSY: `lower` is in a bridge or
  // a bond, or has macvlans. ELOOP: it is above or below a port, and frames would go round. ENOSPC: 63 ports. The
  // errors of LowerLink::link.
  Result<> add_port(NetDevice& lower);
  // ENOENT of these: it is no port.
  Result<> remove_port(NetDevice& lower);
  // The station is at that port for good. EADDRNOTAVAIL: not a unicast address. ENOSPC: see fdb.h.
  Result<> add_static(const MacAddress& station, const NetDevice& port);
  Result<> del_static(const MacAddress& station);
  struct Station {
    MacAddress address;
    DeviceHandle port;
    bool is_static;
  };
  std::vector<Station> stations() const;  // by address

  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // EINVAL: more than the smallest of the ports.
  Result<> change_mtu(uint32_t mtu);
  Result<> set_mac_address(const MacAddress&) { return {}; }  // any will do; the links pass it on
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;

 private:
  struct Port;
  struct Outbound;
  using PortNumber = Fdb::PortNumber;

  void lowers_changed();
  PortNumber number_of(const NetDevice& lower) const;  // kPortsMax: it is no port
  bool is_stacked_with_a_port(const NetDevice& lower) const;
  void drop(PortNumber number);
  void synchronize();
  Port* usable_port(PortNumber number) const noexcept USERNIC_NONBLOCKING;
  void receive(Port& from, SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  bool is_mine(const MacAddress& address) const noexcept USERNIC_NONBLOCKING;
  void flood(Outbound& out, Skb& skb, PortNumber from, bool up) noexcept USERNIC_NONBLOCKING;
  void lose(const Skb& skb, FrameWay way, DropReason why) noexcept USERNIC_NONBLOCKING;
  Skb* copy(const Skb& skb, FrameWay way) noexcept USERNIC_NONBLOCKING;
  void send(Port& port, uint16_t queue, SkbBatch& frames) noexcept USERNIC_NONBLOCKING;

  NetDevice& dev_;
  Work changed_;
  SkbPool& copies_;  // the Net's: a copy may be in somebody's ring when the bridge goes
  Fdb fdb_;
  QueueCounters dropped_;
  // Changed under rtnl. Read in an RxSection of a port, or under an xmit lock of the bridge: `synchronize` waits.
  std::array<Atomic<Port*>, kPortsMax> ports_{};
};

}  // namespace usernic
// Explained best by: drivers/bridge/bridge_test.cc
