// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/config.h"

#include <fmt/format.h>

#include <bit>
#include <string_view>

namespace usernic {
namespace {

std::string above(std::string_view field, uint64_t value, uint64_t max) {
  return value <= max ? std::string() : fmt::format("{} is {}, at most {} is possible", field, value, max);
}

std::string not_power_of_two(std::string_view field, uint32_t value, uint32_t max) {
  if (std::has_single_bit(value) && value <= max) return {};
  return fmt::format("{} is {}, it must be a power of two up to {}", field, value, max);
}

std::string no_count(std::string_view field, uint32_t value, uint32_t max) {
  return value >= 1 && value <= max ? std::string() : fmt::format("{} is {}, it must be 1 to {}", field, value, max);
}

std::string bad_hash(std::string_view field, uint32_t buckets) {
  return buckets == 0 ? std::string() : not_power_of_two(field, buckets, kSimnicHashBitsMax);
}

}  // namespace

std::string config_error(const SimnicConfig& config) {
  if (config.wire.empty()) return "wire is empty, it must be a name";
  for (std::string error : {
           above("unicast_slots", config.unicast_slots, kSimnicSlotsMax),
           above("multicast_slots", config.multicast_slots, kSimnicSlotsMax),
           bad_hash("unicast_hash_bits", config.unicast_hash_bits),
           bad_hash("multicast_hash_bits", config.multicast_hash_bits),
           above("vlan_slots", config.vlan_slots, kSimnicVlansMax),
           above("command_latency_us", config.command_latency_us, kSimnicLatencyUsMax),
           no_count("rx_queues", config.rx_queues, kSimnicQueuesMax),
           no_count("tx_queues", config.tx_queues, kSimnicQueuesMax),
           not_power_of_two("rx_descriptors", config.rx_descriptors, kSimnicDescriptorsMax),
           not_power_of_two("tx_descriptors", config.tx_descriptors, kSimnicDescriptorsMax),
       }) {
    if (!error.empty()) return error;
  }
  if (config.tso && config.rx_descriptors < kSimnicTsoDescriptors) {
    return fmt::format("rx_descriptors is {}, with tso it must be at least {}: a superframe takes several",
                       config.rx_descriptors, kSimnicTsoDescriptors);
  }
  return {};
}

}  // namespace usernic
