// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: Ethernet addresses as octets, their hash, and the ops that most drivers share.
#pragma once

#include <sys/socket.h>

#include <cstring>

#include "kernel/address_lists.h"
#include "kernel/device.h"
#include "kernel/types.h"

namespace usernic::kernel {

inline bool is_zero_ether_addr(const u8* addr) {
  return MacAddress::from_bytes(addr).is_zero();
}
inline bool is_multicast_ether_addr(const u8* addr) {
  return (addr[0] & 1) != 0;
}
inline bool is_unicast_ether_addr(const u8* addr) {
  return !is_multicast_ether_addr(addr);
}
inline bool is_broadcast_ether_addr(const u8* addr) {
  return MacAddress::from_bytes(addr).is_broadcast();
}
inline bool is_valid_ether_addr(const u8* addr) {
  return !is_multicast_ether_addr(addr) && !is_zero_ether_addr(addr);
}
inline bool ether_addr_equal(const u8* a, const u8* b) {
  return std::memcmp(a, b, ETH_ALEN) == 0;
}
inline void ether_addr_copy(u8* to, const u8* from) {
  std::memcpy(to, from, ETH_ALEN);
}
inline void eth_zero_addr(u8* addr) {
  std::memset(addr, 0, ETH_ALEN);
}
inline void eth_broadcast_addr(u8* addr) {
  std::memset(addr, 0xff, ETH_ALEN);
}
inline void eth_random_addr(u8* addr) {
  std::memcpy(addr, MacAddress::generate().octets.data(), ETH_ALEN);
}

// The CRC of the octets, least significant bit first, by which cards choose a hash bucket; ether_crc has its bits
// reversed.
inline u32 ether_crc_le(int length, const u8* data) {
  u32 crc = ~u32{0};
  for (int i = 0; i < length; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb8'8320 : 0);
  }
  return crc;
}
inline u32 ether_crc(int length, const u8* data) {
  const u32 crc = ether_crc_le(length, data);
  u32 reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= ((crc >> bit) & 1) << (31 - bit);
  return reversed;
}

inline void eth_hw_addr_random(net_device* dev) {
  u8 addr[ETH_ALEN];
  eth_random_addr(addr);
  eth_hw_addr_set(dev, addr);
}
// For .ndo_set_mac_address and .ndo_validate_addr: static, for gcc's sanitizers take no inline function's address for a
// constant.
static inline int eth_mac_addr(net_device* dev, void* p) {
  const u8* const addr = reinterpret_cast<const u8*>(static_cast<const sockaddr*>(p)->sa_data);
  if (netif_running(dev)) return -EBUSY;
  if (!is_valid_ether_addr(addr)) return -EADDRNOTAVAIL;
  eth_hw_addr_set(dev, addr);
  return 0;
}
static inline int eth_validate_addr(net_device* dev) {
  return is_valid_ether_addr(netdev_dev_addr(dev)) ? 0 : -EADDRNOTAVAIL;
}

}  // namespace usernic::kernel
