// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/filter.h"

#include <algorithm>

namespace usernic::simnic {
namespace {

constexpr uint16_t kVlanEtherType = 0x8100;
constexpr uint16_t kVlanIdMax = 4094;
constexpr uint64_t kMulticastBit = uint64_t{1} << 40;

uint16_t read_u16(const uint8_t* octets) noexcept {
  return static_cast<uint16_t>(octets[0] << 8 | octets[1]);
}

uint64_t read_destination(Frame frame) noexcept {
  uint64_t value = 0;
  for (size_t i = 0; i < 6; ++i) value = value << 8 | frame[i];
  return value;
}

}  // namespace

Filter::Filter(const SimnicConfig& config)
    : shared_(config.shared_slots),
      has_promisc_(config.promisc),
      has_allmulti_(config.allmulti),
      vlan_slots_(config.vlan_slots),
      vlan_limit_(config.vlan_slots) {
  exact_[0].slots = exact_[0].limit = config.unicast_slots;
  exact_[1].slots = exact_[1].limit = shared_ ? 0 : config.multicast_slots;
  for (Exact& table : exact_) table.entries.reserve(table.slots);
  hash_[0].size = config.unicast_hash_bits;
  hash_[1].size = config.multicast_hash_bits;
}

bool Filter::Exact::holds(uint64_t address) const noexcept {
  return std::binary_search(entries.begin(), entries.end(), address);
}

Result<> Filter::Exact::add(uint64_t address) noexcept {
  if (slots == 0) return fail(std::errc::operation_not_supported);
  const auto at = std::lower_bound(entries.begin(), entries.end(), address);
  if (at != entries.end() && *at == address) return {};
  if (entries.size() >= std::min(slots, limit)) return fail(std::errc::no_space_on_device);
  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // within the capacity that the constructor reserved
      entries.insert(at, address);
  USERNIC_BLOCKING_BY_DESIGN_END
  return {};
}

void Filter::Exact::del(uint64_t address) noexcept {
  const auto at = std::lower_bound(entries.begin(), entries.end(), address);
  if (at != entries.end() && *at == address) entries.erase(at);
}

bool Filter::Hash::holds(const MacAddress& address) const noexcept {
  return size != 0 && buckets[bucket_of(address, size)];
}

bool Filter::accepts(Frame frame) const noexcept {
  if (frame.size() < kHeaderBytes) return false;
  if (promisc_) return true;
  return passes_vlan(frame) && accepts(MacAddress::from_u64(read_destination(frame)));
}

bool Filter::accepts(const MacAddress& destination) const noexcept {
  const uint64_t address = destination.to_u64();
  if (promisc_ || address == own_ || destination.is_broadcast()) return true;
  const bool multicast = (address & kMulticastBit) != 0;
  if (multicast && allmulti_) return true;
  return exact_[0].holds(address) || exact_[1].holds(address) || hash_[multicast].holds(destination);
}

bool Filter::passes_vlan(Frame frame) const noexcept {
  if (vlan_open_ || read_u16(&frame[12]) != kVlanEtherType) return true;
  if (frame.size() < kHeaderBytes + kVlanTagBytes) return false;
  const uint16_t id = read_u16(&frame[14]) & 0x0fff;
  return id == 0 || vlans_[id];
}

Result<> Filter::execute(const Message& message) noexcept {
  switch (message.op) {
    case Op::kAdd:
    case Op::kDel:
      return message.table == Table::kVlan ? vlan_message(message) : exact_message(message);
    case Op::kSetBucket:
    case Op::kClearBucket:
      return bucket_message(message);
    case Op::kOn:
    case Op::kOff:
      return flag_message(message);
  }
  return fail(std::errc::invalid_argument);
}

Result<> Filter::exact_message(const Message& message) noexcept {
  if (message.table != Table::kUnicast && message.table != Table::kMulticast) {
    return fail(std::errc::invalid_argument);
  }
  if (message.op == Op::kAdd) return exact(message.table).add(message.address.to_u64());
  exact(message.table).del(message.address.to_u64());
  return {};
}

Result<> Filter::bucket_message(const Message& message) noexcept {
  if (message.table != Table::kUnicast && message.table != Table::kMulticast) {
    return fail(std::errc::invalid_argument);
  }
  Hash& hash = hash_[message.table == Table::kMulticast];
  if (hash.size == 0) return fail(std::errc::operation_not_supported);
  if (message.bucket >= hash.size) return fail(std::errc::invalid_argument);
  hash.buckets[message.bucket] = message.op == Op::kSetBucket;
  return {};
}

Result<> Filter::vlan_message(const Message& message) noexcept {
  if (vlan_slots_ == 0) return fail(std::errc::operation_not_supported);
  if (message.vlan == 0 || message.vlan > kVlanIdMax) return fail(std::errc::invalid_argument);
  const bool add = message.op == Op::kAdd;
  if (vlans_[message.vlan] == add) return {};
  if (add && vlan_count_ >= std::min(vlan_slots_, vlan_limit_)) return fail(std::errc::no_space_on_device);
  vlans_[message.vlan] = add;
  vlan_count_ += add ? 1 : -1;
  return {};
}

Result<> Filter::flag_message(const Message& message) noexcept {
  const bool on = message.op == Op::kOn;
  switch (message.table) {
    case Table::kPromisc:
      if (!has_promisc_) break;
      promisc_ = on;
      return {};
    case Table::kAllmulti:
      if (!has_allmulti_) break;
      allmulti_ = on;
      return {};
    case Table::kVlanOpen:
      if (vlan_slots_ == 0) break;
      vlan_open_ = on;
      return {};
    case Table::kUnicast:
    case Table::kMulticast:
    case Table::kVlan:
      return fail(std::errc::invalid_argument);
  }
  return fail(std::errc::operation_not_supported);
}

void Filter::clear() noexcept {
  for (Exact& table : exact_) table.entries.clear();
  for (Hash& hash : hash_) hash.buckets.reset();
  vlans_.reset();
  vlan_count_ = 0;
  promisc_ = allmulti_ = false;
  vlan_open_ = true;
}

void Filter::limit_slots(Table table, uint32_t slots) noexcept {
  if (table == Table::kVlan) vlan_limit_ = slots;
  if (table == Table::kUnicast || table == Table::kMulticast) exact(table).limit = slots;
}

FilterImage Filter::empty_image() const {
  FilterImage image;
  // Either table takes addresses of either class.
  for (auto* addresses : {&image.unicast, &image.multicast}) addresses->reserve(exact_[0].slots + exact_[1].slots);
  image.unicast_buckets.reserve(hash_[0].size);
  image.multicast_buckets.reserve(hash_[1].size);
  image.vlans.reserve(vlan_slots_);
  return image;
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // within the capacity that empty_image reserved
    void
    Filter::read(FilterImage& image) const noexcept {
  image.own_address = own_address();
  image.promisc = promisc_;
  image.allmulti = allmulti_;
  image.vlan_open = vlan_open_;
  for (const Exact& table : exact_) {
    for (uint64_t address : table.entries) {
      ((address & kMulticastBit) != 0 ? image.multicast : image.unicast).push_back(MacAddress::from_u64(address));
    }
  }
  for (uint32_t i = 0; i < hash_[0].size; ++i) {
    if (hash_[0].buckets[i]) image.unicast_buckets.push_back(i);
  }
  for (uint32_t i = 0; i < hash_[1].size; ++i) {
    if (hash_[1].buckets[i]) image.multicast_buckets.push_back(i);
  }
  for (uint16_t id = 1; id <= kVlanIdMax; ++id) {
    if (vlans_[id]) image.vlans.push_back(id);
  }
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic::simnic
