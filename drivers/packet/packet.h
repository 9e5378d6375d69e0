// SPDX-License-Identifier: Apache-2.0 OR MIT
// packet: an interface that the machine already has, as a card, by a packet socket.
//
//   start_xmit -> a batch -> sendmmsg; no room -> the queue stops until the socket is writable
//   socket readable -> the driver's thread -> NAPI schedule; poll: recvmmsg -> filter -> receive
//   set_rx_mode_async: a membership of the socket a command, a flag each
//   word of a change of interfaces -> the lane: carrier, MTU, unplug (deleted, or moved elsewhere) and return
//
// Superframes pass whole both ways. The interface stays its stack's, too, which sees every frame of ours that comes:
// README.md says what that means.
//
// What is of the life of the device runs on its lane or keeps it parked, and needs no lock. Two leaf locks: of what
// waits to be sent, and of the filter that frames are looked at by.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/netif/interface.h"
#include "bus/netif/packet_reader.h"
#include "bus/netif/packet_socket.h"
#include "bus/netif/packet_writer.h"
#include "drivers/packet/filter.h"
#include "usernic/driver.h"
#include "usernic/ethtool.h"
#include "usernic/frame_tap.h"
#include "usernic/kick.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {

class PacketNic {
 public:
  static constexpr uint32_t kMtuMax = 9000;

  // For the interface of that name in this thread's namespace, a device that is not registered yet. Without an address
  // it gets one that is the same each time, and not the interface's. MTU 0: the interface's, and on with it. A larger
  // one than the interface has becomes the interface's, too. ENODEV: there is no such interface. ENOTSUP: it is none of
  // Ethernet. EPERM: a packet socket needs CAP_NET_RAW, an MTU CAP_NET_ADMIN. EINVAL: an MTU of more than kMtuMax, or
  // than the interface takes. Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, const std::string& interface);

  // What it is made of.
  struct Parts {
    std::string name;
    Interface interface;
    PacketSocket socket;
    InterfaceEvents events;
    Kick ends;
    UniqueFd epoll;
    uint32_t wanted_mtu;
    MacAddress address;  // the interface's
  };
  PacketNic(NetDevice& dev, Parts parts);
  ~PacketNic();
  PacketNic(const PacketNic&) = delete;
  PacketNic& operator=(const PacketNic&) = delete;

  // The netdevice ops [include/usernic/driver.h].
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = kUnicastsMax, .multicast_slots = kMulticastsMax}; }
  void set_rx_mode_async(RxPlan& plan);
  Result<> change_mtu(uint32_t mtu);
  Result<> set_mac_address(const MacAddress& address);
  Features hw_features() const { return Features{Feature::kTxSum, Feature::kGroHw} | kSegmentation; }
  Features fix_features(Features wanted) const;
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;
  Result<> get_drvinfo(DriverInfo& info);
  Result<> get_ringparam(RingParam& rings);
  Result<> get_ethtool_stats(std::vector<NamedCounter>& counters);

  // The NAPI poll [include/usernic/napi.h].
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr uint32_t kUnicastsMax = 1024;  // the kernel looks at each of them for each change
  static constexpr uint32_t kMulticastsMax = 4096;
  static constexpr uint32_t kTxRing = 256;   // frames that wait for room in the socket
  static constexpr uint32_t kDoorbell = 64;  // are sent together at most
  static constexpr LockClass kTxClass{"packet_tx", LockUse::kAnyContext};
  static constexpr LockClass kFilterClass{"packet_filter", LockUse::kAnyContext};

  // Life.
  void watch();
  void look();
  void follow(const Interface::State& state);
  void follow_carrier(const Interface::State& state) noexcept;
  void unplugged();
  void look_for_it();
  void refused(std::errc error);
  bool find_it();
  Result<> start();
  void quiesce();

  // Filter.
  Result<> execute(const RxCommand& command);
  Result<> listen_to(const MacAddress& own);
  void forget();
  Result<> publish();

  // Frames.
  uint32_t tx_room() const noexcept USERNIC_NONBLOCKING { return kTxRing - tx_count_.load(); }
  void flush() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(tx_lock_);
  void arm() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(tx_lock_);
  void sort_out(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;

  // Constant.
  NetDevice& dev_;
  const std::string name_;  // of the interface, to find it again

  // The lane's.
  Interface interface_;
  MacAddress interface_address_;  // when it was seen last
  bool gone_ = false;
  std::optional<std::errc> refused_;  // it is back, and cannot be opened: as it was said last
  bool up_ = false;                   // between open and stop
  uint32_t wanted_mtu_;
  bool following_mtu_ = false;
  std::optional<MacAddress> member_as_;  // the own address has a membership; for this one
  packet::Filter filter_;                // as the memberships are

  Atomic<bool> started_{false};
  Atomic<bool> starved_{false};  // of buffers: that frames wait is no news
  Atomic<uint64_t> filtered_{0}, unread_{0}, tx_discarded_{0};
  mutable Atomic<uint64_t> missed_{0};

  PacketSocket socket_;
  InterfaceEvents events_;
  Kick ends_;
  UniqueFd epoll_;
  Workqueue& lane_;
  Napi napi_;
  Work look_work_;
  Work refill_work_;

  SkbPool frames_, superframes_;
  PacketReader reader_;  // the poll's
  SpinLock filter_lock_{kFilterClass};
  std::unique_ptr<const packet::Filter> accepted_ USERNIC_GUARDED_BY(filter_lock_);

  SpinLock tx_lock_{kTxClass};
  PacketWriter writer_;  // used under the lock, but for its counters
  SkbBatch tx_ USERNIC_GUARDED_BY(tx_lock_);
  Atomic<uint32_t> tx_count_{0};  // of them
  Atomic<bool> tx_waits_{false};  // for the socket to be writable
  Atomic<bool> told_uso_{false};  // the lane, that the kernel refuses these

  Thread watcher_;  // ends first
};

}  // namespace usernic
// Explained best by: tests/e2e/packet_test.py
