// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: the life of a device, its references, carrier, MTU. Under rtnl: rtnl.h.
//
// Other than in the kernel, dev_open, dev_close, dev_set_mtu, dev_set_mac_address and netif_device_detach/attach take
// what locks they need themselves: rtnl must not be held, which is a report and -EDEADLK. dev_addr_* do want it held.
#pragma once

#include <sys/socket.h>

#include <cstring>

#include "usernic/device_ref.h"
#include "usernic/kernel_names/rtnl.h"
#include "usernic/kernel_names/types.h"

namespace usernic::kernel_names {

// A device whose driver is a class, built as Driver(NetDevice&, args...). NULL: a name that is none, or no queue.
// A driver that is a table of functions: netdev_ops.h.
template <class Driver, class... Args>
net_device* alloc_netdev_mqs(const char* name, unsigned txqs, unsigned rxqs, Args&&... args) {
  if (txqs < 1 || rxqs < 1) return nullptr;
  if (txqs > UINT16_MAX) return nullptr;
  const NetdevConfig config{.name = name, .tx_queues = static_cast<uint16_t>(txqs)};
  Result<NetdevPtr> dev = init_net().alloc_netdev<Driver>(config, std::forward<Args>(args)...);
  return dev ? dev->release() : nullptr;
}
// Of a driver that is a class.
template <class Driver>
Driver* netdev_priv(const net_device* dev) {
  return static_cast<Driver*>(dev->driver());
}
// A registered device is a report, and unregistered first. One that goes with rtnl_unlock is freed by that.
inline void free_netdev(net_device* dev, Place where = Place::current()) {
  if (dev == nullptr || init_net_is::todo(where).free_later(dev)) return;
  if (dev->reg_state() == RegState::kRegistered) {
    report_contract("free-registered", "a registered device is freed", where);
  }
  FreeNetdev()(dev);
}
inline int register_netdev(net_device* dev, Place where = Place::current()) {
  return waits_under_rtnl(dev, "register_netdev", where) ? -EDEADLK : error_of(dev->register_netdev(where));
}
inline void unregister_netdev(net_device* dev, Place where = Place::current()) {
  if (waits_under_rtnl(dev, "unregister_netdev", where)) return;
  rtnl_section::enter(dev->net(), where);
  const uint64_t run = rtnl_section::mine().run;
  if (!init_net_is::todo(where).add({.dev = dev, .run = run, .unregister = true})) {
    report_contract("unregister-unregistered", "a device is unregistered a second time", where);
  }
  carry_out_todo(where);
}
inline Net* dev_net(const net_device* dev) {
  return &dev->net();
}
inline std::string netdev_name(const net_device* dev) {
  return dev->name();
}

struct netlink_ext_ack;  // is told nothing
inline int dev_open(net_device* dev, netlink_ext_ack* = nullptr, Place where = Place::current()) {
  return waits_under_rtnl(dev, "dev_open", where) ? -EDEADLK : error_of(dev->open(where));
}
inline void dev_close(net_device* dev, Place where = Place::current()) {
  if (!waits_under_rtnl(dev, "dev_close", where)) (void)dev->close(where);
}
inline int dev_set_mtu(net_device* dev, int mtu, Place where = Place::current()) {
  if (mtu < 0) return -EINVAL;
  return waits_under_rtnl(dev, "dev_set_mtu", where) ? -EDEADLK
                                                     : error_of(dev->change_mtu(static_cast<uint32_t>(mtu), where));
}
inline int dev_set_mac_address(net_device* dev, const MacAddress& address, Place where = Place::current()) {
  return waits_under_rtnl(dev, "dev_set_mac_address", where) ? -EDEADLK
                                                             : error_of(dev->set_mac_address(address, where));
}
// `Sockaddr` is a sockaddr or a sockaddr_storage. -EINVAL: not of Ethernet.
template <class Sockaddr>
int dev_set_mac_address(net_device* dev, const Sockaddr* address, netlink_ext_ack* = nullptr,
                        Place where = Place::current()) {
  const auto* const octets = reinterpret_cast<const unsigned char*>(address);
  decltype(sockaddr::sa_family) family;
  std::memcpy(&family, octets, sizeof family);
  if (family != ARPHRD_ETHER) return -EINVAL;
  return dev_set_mac_address(dev, MacAddress::from_bytes(octets + sizeof family), where);
}
inline bool netif_running(const net_device* dev) {
  return dev->running();
}
inline bool netif_device_present(const net_device* dev) {
  return dev->present();
}
inline void netif_device_detach(net_device* dev, Place where = Place::current()) {
  if (!waits_under_rtnl(dev, "netif_device_detach", where)) (void)dev->detach(where);
}
inline void netif_device_attach(net_device* dev, Place where = Place::current()) {
  if (!waits_under_rtnl(dev, "netif_device_attach", where)) (void)dev->attach(where);
}
inline bool netif_carrier_ok(const net_device* dev) {
  return dev->carrier_ok();
}
inline void netif_carrier_on(net_device* dev) {
  dev->carrier_on();
}
inline void netif_carrier_off(net_device* dev) {
  dev->carrier_off();
}
inline rtnl_link_stats64* dev_get_stats(const net_device* dev, rtnl_link_stats64* storage) {
  *storage = dev->stats();
  return storage;
}

// References. A put too many is a report, as is a second hold by one tracker, which would lose the first.
using netdevice_tracker = DeviceRef;
using gfp_t = unsigned;
inline constexpr gfp_t GFP_KERNEL = 0, GFP_ATOMIC = 1;
inline void netdev_hold(net_device* dev, netdevice_tracker* tracker, gfp_t, Place where = Place::current()) {
  if (dev == nullptr) return;
  if (*tracker) return report_contract("ref-held-twice", "a netdevice_tracker that holds a reference takes one", where);
  tracker->hold(*dev, "netdev_hold", where);
}
inline void netdev_put(net_device* dev, netdevice_tracker* tracker, Place where = Place::current()) {
  if (dev == nullptr) return;
  if (tracker->get() == dev) return tracker->put();
  report_contract("ref-underflow", "a device's reference is put that its netdevice_tracker does not hold", where);
}
inline void dev_hold(net_device* dev) {
  if (dev != nullptr) hold_untracked(*dev);
}
inline void dev_put(net_device* dev, Place where = Place::current()) {
  if (dev != nullptr) put_untracked(*dev, where);
}
// With a reference, dev_put it; NULL: no registered device has the name.
inline net_device* dev_get_by_name(Net* net, const char* name) {
  const DeviceHandle found = net->find(name);
  if (!found) return nullptr;
  hold_untracked(*found);
  if (found->reg_state() == RegState::kRegistered) return found.get();
  put_untracked(*found);
  return nullptr;
}
inline net_device* netdev_get_by_name(Net* net, const char* name, netdevice_tracker* tracker, gfp_t flags) {
  net_device* const dev = dev_get_by_name(net, name);
  if (dev == nullptr) return nullptr;
  netdev_hold(dev, tracker, flags);
  dev_put(dev);
  return dev;
}

}  // namespace usernic::kernel_names
