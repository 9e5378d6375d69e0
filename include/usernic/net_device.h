// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the net_device.
//
//   UNINITIALIZED --register--> REGISTERED --unregister--> UNREGISTERING --> UNREGISTERED --free--> RELEASED
//                     \_ a failed register leaves UNREGISTERED _/
//
// A registered device is open (up) or closed, present or detached, with or without carrier. An operation that calls the
// driver first parks the device's lane, while it holds nothing, then takes rtnl, then the instance lock (IL). The
// object outlives its driver while a DeviceHandle exists: every operation on a device that is gone answers ENODEV.
// Rules: [netdevices: struct net_device lifetime rules, synchronization rules].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/mac_address.h"
#include "usernic/tx_queue.h"

namespace usernic {

class AddressList;
class DevicePort;
class Net;
class OwnAddresses;
class RxMode;
struct Workqueue;

inline constexpr uint32_t kFrameOverhead = 14 + 4;  // what a frame has besides an MTU: an Ethernet header, one VLAN tag

enum class RegState : uint8_t { kUninitialized, kRegistered, kUnregistering, kUnregistered, kReleased };
std::string_view reg_state_name(RegState state) noexcept;

struct NetDevice {
 public:
  NetDevice(const NetDevice&) = delete;
  NetDevice& operator=(const NetDevice&) = delete;

  // Context: any.
  Net& net() const noexcept USERNIC_NONBLOCKING;
  std::string name() const;  // constant from registration on
  RegState reg_state() const noexcept USERNIC_NONBLOCKING;
  bool running() const noexcept USERNIC_NONBLOCKING;  // opened; true within open, false within stop
  bool present() const noexcept USERNIC_NONBLOCKING;
  bool carrier_ok() const noexcept USERNIC_NONBLOCKING;
  uint32_t mtu() const noexcept USERNIC_NONBLOCKING;
  uint32_t mtu_min() const noexcept USERNIC_NONBLOCKING;
  uint32_t mtu_max() const noexcept USERNIC_NONBLOCKING;
  uint32_t frame_bytes_max() const noexcept USERNIC_NONBLOCKING;  // the MTU and kFrameOverhead
  MacAddress address() const noexcept USERNIC_NONBLOCKING;
  Features hw_features() const noexcept USERNIC_NONBLOCKING;  // what can be changed: the card's, kGso, kGro
  Features features() const noexcept USERNIC_NONBLOCKING;
  LinkStats stats() const;
  QueueStats queue_stats() const;
  void* driver() const noexcept USERNIC_NONBLOCKING;
  std::string_view driver_name() const noexcept USERNIC_NONBLOCKING;  // [kernel: netdev_drivername]

  // What NetdevConfig said, said better: by a probe function before register_netdev; all but the name by `init`, too.
  // EBUSY: it is too late. EINVAL: as alloc_netdev. ENOMEM. Context: process, one at a time.
  Result<> set_name(std::string_view name);
  Result<> set_mtu(uint32_t mtu, uint32_t mtu_min, uint32_t mtu_max);
  Result<> set_tx_queues(uint16_t count);

  // Makes the device visible. EEXIST: the name is taken; nothing of the driver is called. Errors of init and of
  // notifiers; EINVAL: RxFilterCaps or hw_features that cannot be true. Once only: a second call is a contract report.
  // Context: process, no locks.
  Result<> register_netdev(Place where = Place::current());
  // Closes it, takes it out of sight, and sleeps until the last reference is gone. Context: process, no locks.
  void unregister_netdev(Place where = Place::current());

  // Context of these: process; either no locks, or from an item of this device's lane. They park the lane, then take
  // rtnl and IL. ENODEV: not registered or not present. Opening an open device is no error, closing a closed neither.
  Result<> open(Place where = Place::current());
  Result<> close(Place where = Place::current());
  // EINVAL: outside mtu_min .. mtu_max. Errors of notifiers and of the driver leave the old one.
  Result<> change_mtu(uint32_t mtu, Place where = Place::current());
  // EADDRNOTAVAIL: not a unicast address. EOPNOTSUPP: the driver cannot.
  Result<> set_mac_address(const MacAddress& address, Place where = Place::current());
  // Off: the device has no carrier until it is on again, whatever the cable. carrier_ok is the result. EOPNOTSUPP: the
  // driver cannot.
  Result<> change_carrier(bool on, Place where = Place::current());
  // Asks for these and no others. `features` is the result: a feature that needs one that is off goes off with it.
  // EOPNOTSUPP: one is none of hw_features. Errors of the driver leave the old ones.
  Result<> change_features(Features wanted, Place where = Place::current());

  // For the driver: its card has, or has not, a carrier [kernel: netif_carrier_on/off]. Context: any.
  void carrier_on() noexcept USERNIC_NONBLOCKING;
  void carrier_off() noexcept USERNIC_NONBLOCKING;
  // The hardware is gone or suspended / is back. In between the driver is not called, but for stop
  // [kernel: netif_device_detach]. `attach` has the filter programmed again. Context: process, no locks, or from the
  // device's lane.
  Result<> detach(Place where = Place::current());
  Result<> attach(Place where = Place::current());

  // For whoever finds out that the hardware is gone, in start_xmit or a completion: the device is absent at once, and
  // the lane does the rest of `detach`. Context: any.
  void detach_soon() noexcept USERNIC_NONBLOCKING;
  // The driver's `work` is called soon, once for all events that were gathered until then. An absent device's waits
  // until it is present. Context: any. [kernel: ndo_work]
  void queue_work(uint32_t events) noexcept USERNIC_NONBLOCKING;

  // The primary own address and others; under rtnl.
  OwnAddresses& own_addresses() noexcept;

  // What is wanted received. See address_list.h and rx_mode.h.
  AddressList& uc() noexcept USERNIC_NONBLOCKING;
  AddressList& mc() noexcept USERNIC_NONBLOCKING;
  RxMode& rx_mode() noexcept USERNIC_NONBLOCKING;
  const RxMode& rx_mode() const noexcept USERNIC_NONBLOCKING;

  // This device's lane: an ordered queue that runs its rx-mode work and its wishes, one at a time.
  Workqueue& lane() noexcept;

  uint16_t tx_queue_count() const noexcept USERNIC_NONBLOCKING;
  TxQueue& tx_queue(uint16_t index) noexcept USERNIC_NONBLOCKING;
  // Sends the batch on a queue, under its xmit lock, until the queue stops. What is left in the batch was not sent:
  // wait for the port's tx_wake, or, if the queue runs, for buffers in the superframe's pool of segments. A device that
  // is down, absent or without carrier drops and counts. A frame, or segment of a superframe, that is longer than
  // frame_bytes_max is dropped, too. Returns how many frames the driver took and did not drop. Context: process or BH.
  uint32_t xmit(TxQueue& queue, SkbBatch& frames, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // The same, each frame on the queue that the driver's select_queue names, or a hash of its flow; what is left keeps
  // the order of each flow. [kernel: dev_queue_xmit]
  uint32_t xmit(SkbBatch& frames, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // The same, where the sender keeps what is left in a batch for each queue, so that a stopped queue holds back its own
  // frames alone. What is in `left` goes first. Requires: `left` has a batch for each TX queue.
  uint32_t xmit(SkbBatch& frames, std::span<SkbBatch> left, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING;
  // The same, where the sender knows the queue of the frames' flows: it is in place of the hash.
  uint32_t xmit(SkbBatch& frames, std::span<SkbBatch> left, uint16_t flow, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING;

  // For a software device: counts frames from below and hands them up, as Napi::receive does. A device that is down
  // drops them. A frame longer than frame_bytes_max is dropped. Context: process or BH. [kernel: netif_rx]
  void receive(SkbBatch& frames, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

  // Puts the port on top. EBUSY: there is one. `detach_port` returns when no call into the port runs any more.
  // Context: process.
  Result<> attach_port(DevicePort& port);
  void detach_port();

  // The references that are held now, each as "holder (file:line)".
  std::vector<std::string> ref_holders() const;

 protected:
  NetDevice() = default;
  ~NetDevice() = default;
};

}  // namespace usernic
// Explained best by: core/device/net_device_test.cc
