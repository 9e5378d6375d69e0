// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: address lists, the device's own (dev_addr_*), its filters (dev_uc_*, dev_mc_*), private ones
// (__hw_addr_*).
//
// dev_uc_* and dev_mc_* do not look at the address: zeros and a group bit are the caller's business. They differ on
// purpose: an exclusive addition is refused only while a user holds the address; a flush is a change like another, so
// the card is programmed from it. dev_*_sync want netif_addr_lock of `from`, which ndo_set_rx_mode has, and are carried
// out when it is let go; dev_*_unsync do not.
#pragma once

#include "kernel/types.h"
#include "usernic/address_list.h"
#include "usernic/own_addresses.h"
#include "usernic/rx_mode.h"

namespace usernic::kernel {

inline constexpr u8 NETDEV_HW_ADDR_T_LAN = HwAddr::kLan;
inline constexpr u8 NETDEV_HW_ADDR_T_SAN = HwAddr::kSan;
inline constexpr u8 NETDEV_HW_ADDR_T_UNICAST = HwAddr::kUnicast;
inline constexpr u8 NETDEV_HW_ADDR_T_MULTICAST = HwAddr::kMulticast;

// Six octets, or a MacAddress.
struct hw_address : MacAddress {
  hw_address(const MacAddress& address) : MacAddress(address) {}
  hw_address(const unsigned char* octets) : MacAddress(MacAddress::from_bytes(octets)) {}
};

// The device's filters.
inline int dev_uc_add(net_device* dev, hw_address a) {
  return error_of(dev->uc().add(a));
}
inline int dev_uc_add_excl(net_device* dev, hw_address a) {
  return error_of(dev->uc().add_excl(a));
}
inline int dev_uc_del(net_device* dev, hw_address a) {
  return error_of(dev->uc().del(a));
}
inline void dev_uc_flush(net_device* dev) {
  (void)dev->uc().flush();
}
inline void dev_uc_init(net_device* dev) {
  dev_uc_flush(dev);
}
inline int dev_mc_add(net_device* dev, hw_address a) {
  return error_of(dev->mc().add(a));
}
inline int dev_mc_add_excl(net_device* dev, hw_address a) {
  return error_of(dev->mc().add_excl(a));
}
inline int dev_mc_add_global(net_device* dev, hw_address a) {
  return error_of(dev->mc().add_global(a));
}
inline int dev_mc_del(net_device* dev, hw_address a) {
  return error_of(dev->mc().del(a));
}
inline int dev_mc_del_global(net_device* dev, hw_address a) {
  return error_of(dev->mc().del_global(a));
}
inline void dev_mc_flush(net_device* dev) {
  (void)dev->mc().flush();
}
inline void dev_mc_init(net_device* dev) {
  dev_mc_flush(dev);
}
inline int dev_uc_sync(net_device* to, net_device* from, Place where = Place::current()) {
  return error_of(sync_when_unlocked(to->uc(), from->uc(), where));
}
inline int dev_uc_sync_multiple(net_device* to, net_device* from, Place where = Place::current()) {
  return dev_uc_sync(to, from, where);
}
inline void dev_uc_unsync(net_device* to, net_device* from) {
  unsync(to->uc(), from->uc());
}
inline int dev_mc_sync(net_device* to, net_device* from, Place where = Place::current()) {
  return error_of(sync_when_unlocked(to->mc(), from->mc(), where));
}
inline int dev_mc_sync_multiple(net_device* to, net_device* from, Place where = Place::current()) {
  return dev_mc_sync(to, from, where);
}
inline void dev_mc_unsync(net_device* to, net_device* from) {
  unsync(to->mc(), from->mc());
}
inline u32 netdev_uc_count(net_device* dev) {
  return dev->uc().size();
}
inline bool netdev_uc_empty(net_device* dev) {
  return netdev_uc_count(dev) == 0;
}
inline u32 netdev_mc_count(net_device* dev) {
  return dev->mc().size();
}
inline bool netdev_mc_empty(net_device* dev) {
  return netdev_mc_count(dev) == 0;
}

// The device's own addresses; rtnl held, before registration excepted (eth_hw_addr_set in a probe function).
inline int dev_addr_add(net_device* dev, hw_address a, u8 type) {
  return error_of(dev->own_addresses().add(a, type));
}
inline int dev_addr_del(net_device* dev, hw_address a, u8 type) {
  return error_of(dev->own_addresses().del(a, type));
}
inline void dev_addr_mod(net_device* dev, unsigned offset, const void* octets, size_t len) {
  dev->own_addresses().set(offset, octets, len);
}
inline void dev_addr_set(net_device* dev, hw_address a) {
  dev_addr_mod(dev, 0, a.octets.data(), a.octets.size());
}
inline void eth_hw_addr_set(net_device* dev, hw_address a) {
  dev_addr_set(dev, a);
}
inline int dev_addr_init(net_device* dev) {
  dev->own_addresses().init();
  return 0;
}
inline void dev_addr_flush(net_device* dev) {
  dev->own_addresses().flush();
}
inline void dev_addr_check(net_device* dev, Place where = Place::current()) {
  (void)dev->own_addresses().check(where);
}
// dev->dev_addr and &dev->dev_addrs.
inline const unsigned char* netdev_dev_addr(net_device* dev) {
  return dev->own_addresses().primary();
}
inline netdev_hw_addr_list* netdev_dev_addrs(net_device* dev) {
  return &dev->own_addresses().list();
}

}  // namespace usernic::kernel

#include "kernel/hw_addr.h"
