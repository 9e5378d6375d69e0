// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/filter/filter_caps.h"

#include <fmt/format.h>

#include <bit>

#include "usernic/context.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

std::string above(const char* field, uint32_t value, uint32_t limit) {
  if (value <= limit) return {};
  return fmt::format("{} is {}, at most {} is possible", field, value, limit);
}

std::string buckets_error(const char* field, uint32_t buckets, bool hashes) {
  if (buckets == 0) return {};
  if (!hashes) return fmt::format("{} is {}, but the driver has no rx_hash", field, buckets);
  if (!std::has_single_bit(buckets)) return fmt::format("{} is {}, not a power of two", field, buckets);
  return above(field, buckets, kRxHashBucketsMax);
}

// In verifier mode: it is called in any context, and must not mind.
void hash_elsewhere(const NetDeviceOps& ops, const void* driver, AddressClass address_class, const MacAddress& address,
                    uint32_t bucket) {
  uint32_t again;
  {
    const BhScope bh;
    again = ops.rx_hash(driver, address_class, address);
  }
  if (again == bucket) return;
  report_contract("verifier-answer-varies",
                  fmt::format("rx_hash gives {} for {} in process context, and {} with BHs disabled", bucket,
                              address.to_string(), again),
                  Place::current());
}

// Zeros, ones and what is scattered in between: a hash that keeps too many bits leaves its range soon.
std::string hash_error(AddressClass address_class, uint32_t buckets, const NetDeviceOps& ops, const void* driver) {
  constexpr int kTries = 64;
  if (buckets == 0) return {};
  const uint64_t group = address_class == AddressClass::kMulticast ? 0x0100'0000'0000 : 0;
  for (int i = 0; i < kTries; ++i) {
    const uint64_t octets = i == 1 ? UINT64_MAX : uint64_t(i) * 0x9e37'79b9'7f4a'7c15;
    const MacAddress address = MacAddress::from_u64((octets & 0xfeff'ffff'ffff) | group);
    const uint32_t bucket = ops.rx_hash(driver, address_class, address);
    if (kVerifierOn) [[unlikely]]
      hash_elsewhere(ops, driver, address_class, address, bucket);
    if (bucket >= buckets) return bucket_error(address_class, address, bucket, buckets);
  }
  return {};
}

}  // namespace

std::string bucket_error(AddressClass address_class, const MacAddress& address, uint32_t bucket, uint32_t buckets) {
  return fmt::format("rx_hash gives {} for {}, and the {} hash has {} buckets", bucket, address.to_string(),
                     address_class == AddressClass::kUnicast ? "unicast" : "multicast", buckets);
}

std::string caps_error(const RxFilterCaps& caps, const NetDeviceOps& ops, const void* driver) {
  const bool hashes = ops.rx_hash != nullptr;
  std::string error;
  const auto look = [&error](auto&& rule, auto&&... what) {
    if (error.empty()) error = rule(what...);
  };
  look(above, "unicast_slots", caps.unicast_slots, kRxSlotsMax);
  look(above, "multicast_slots", caps.multicast_slots, kRxSlotsMax);
  look(above, "vlan_slots", caps.vlan_slots, kRxVlanSlotsMax);
  look(buckets_error, "unicast_hash_buckets", caps.unicast_hash_buckets, hashes);
  look(buckets_error, "multicast_hash_buckets", caps.multicast_hash_buckets, hashes);
  if (error.empty() && caps.own_address_uses_slot && caps.unicast_slots == 0) {
    error = "own_address_uses_slot is set, but unicast_slots is 0";
  }
  look(hash_error, AddressClass::kUnicast, caps.unicast_hash_buckets, ops, driver);
  look(hash_error, AddressClass::kMulticast, caps.multicast_hash_buckets, ops, driver);
  return error;
}

}  // namespace usernic
