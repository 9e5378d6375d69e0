// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: the life of a device, carrier, MTU. Its end: unregister.h. Under rtnl: rtnl.h.
//
// Other than in the kernel, dev_open, dev_close, dev_set_mtu, dev_set_mac_address, dev_change_carrier and
// netif_device_detach/attach take what locks they need themselves: rtnl must not be held, which is a report and
// -EDEADLK. dev_addr_* do want it held.
#pragma once

#include <sys/socket.h>

#include <cstring>

#include "kernel/init_net.h"
#include "kernel/references.h"
#include "kernel/rtnl.h"
#include "kernel/types.h"
#include "kernel/unregister.h"

namespace usernic::kernel {

// A device whose driver is a class, built as Driver(NetDevice&, args...). Its address is zeros until the driver sets
// one (eth_hw_addr_set, eth_hw_addr_random). NULL: a name that is none, or no queue. A driver that is a table of
// functions: netdev_ops.h.
template <class Driver, class... Args>
net_device* alloc_netdev_mqs(const char* name, unsigned txqs, unsigned rxqs, Args&&... args) {
  if (txqs < 1 || rxqs < 1) return nullptr;
  if (txqs > UINT16_MAX) return nullptr;
  const NetdevConfig config{.name = name, .address_later = true, .tx_queues = static_cast<uint16_t>(txqs)};
  Result<NetdevPtr> dev = init_net().alloc_netdev<Driver>(config, std::forward<Args>(args)...);
  return dev ? dev->release() : nullptr;
}
// Of a driver that is a class.
template <class Driver>
Driver* netdev_priv(const net_device* dev) {
  return static_cast<Driver*>(dev->driver());
}
inline int register_netdev(net_device* dev, Place where = Place::current()) {
  return waits_under_rtnl(dev, "register_netdev", where) ? -EDEADLK : error_of(dev->register_netdev(where));
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
inline int dev_change_carrier(net_device* dev, bool new_carrier, Place where = Place::current()) {
  return waits_under_rtnl(dev, "dev_change_carrier", where) ? -EDEADLK
                                                            : error_of(dev->change_carrier(new_carrier, where));
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

}  // namespace usernic::kernel
