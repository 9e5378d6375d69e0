// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: the card's RX filter: what passes from the wire into memory.
//
// A frame passes when promiscuity is on, or when its VLAN passes and one of these does: broadcast, the own address
// register, an exact entry, a set hash bucket of its class, allmulti for a multicast. Untagged frames and priority
// tags (VLAN 0) are in no VLAN and pass the VLAN filter. After power-on everything is off and the VLAN filter open.
//
// Programming is idempotent: adding what is there and removing what is not are no errors. Nothing allocates after
// construction. No lock: the card's guards it.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "drivers/simnic/config.h"
#include "drivers/simnic/frame.h"
#include "drivers/simnic/regs.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic::simnic {

// What a filter holds, for people and tests. Addresses, buckets and VLAN ids are sorted.
struct FilterImage {
  MacAddress own_address;
  std::vector<MacAddress> unicast, multicast;
  std::vector<uint32_t> unicast_buckets, multicast_buckets;
  std::vector<uint16_t> vlans;
  bool promisc = false, allmulti = false, vlan_open = true;
};

class Filter {
 public:
  explicit Filter(const SimnicConfig& config);

  bool accepts(Frame frame) const noexcept USERNIC_NONBLOCKING;
  // Would an untagged frame to this address pass?
  bool accepts(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING;

  // EINVAL: a message that means nothing. EOPNOTSUPP: this card has no such thing. ENOSPC: the table is full.
  Result<> execute(const Message& message) noexcept USERNIC_NONBLOCKING;
  void clear() noexcept USERNIC_NONBLOCKING;
  void set_own_address(const MacAddress& address) noexcept USERNIC_NONBLOCKING { own_ = address.to_u64(); }
  MacAddress own_address() const noexcept USERNIC_NONBLOCKING { return MacAddress::from_u64(own_); }

  // A fault: from now on an add finds room for so many only (kUnicast, kMulticast, kVlan). What is held stays.
  void limit_slots(Table table, uint32_t slots) noexcept USERNIC_NONBLOCKING;

  // An image with room for everything, and filling it without allocating.
  FilterImage empty_image() const;
  void read(FilterImage& image) const noexcept USERNIC_NONBLOCKING;

 private:
  struct Exact {
    std::vector<uint64_t> entries;  // sorted, capacity reserved
    uint32_t slots = 0;             // on the data sheet
    uint32_t limit = 0;             // in fact
    bool holds(uint64_t address) const noexcept USERNIC_NONBLOCKING;
    Result<> add(uint64_t address) noexcept USERNIC_NONBLOCKING;
    void del(uint64_t address) noexcept USERNIC_NONBLOCKING;
  };
  struct Hash {
    std::bitset<kSimnicHashBitsMax> buckets;
    uint32_t size = 0;
    bool holds(const MacAddress& address) const noexcept USERNIC_NONBLOCKING;
  };

  Exact& exact(Table table) noexcept { return exact_[shared_ || table == Table::kUnicast ? 0 : 1]; }
  bool passes_vlan(Frame frame) const noexcept USERNIC_NONBLOCKING;
  Result<> exact_message(const Message& message) noexcept USERNIC_NONBLOCKING;
  Result<> bucket_message(const Message& message) noexcept USERNIC_NONBLOCKING;
  Result<> vlan_message(const Message& message) noexcept USERNIC_NONBLOCKING;
  Result<> flag_message(const Message& message) noexcept USERNIC_NONBLOCKING;

  const bool shared_;
  const bool has_promisc_;
  const bool has_allmulti_;
  const uint32_t vlan_slots_;
  uint32_t vlan_limit_;

  Exact exact_[2];  // unicast or shared, multicast
  Hash hash_[2];    // unicast, multicast
  std::bitset<4096> vlans_;
  uint32_t vlan_count_ = 0;
  uint64_t own_ = 0;
  bool promisc_ = false;
  bool allmulti_ = false;
  bool vlan_open_ = true;
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/filter_test.cc
