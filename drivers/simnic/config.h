// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: what one card is built like. Numbers as on a data sheet; zero means "has none".
//
// A plain struct: whoever reads a file or a command line fills it in, `config_error` says in a sentence what no card
// can be built like. Names of fields are the names in a config file.
#pragma once

#include <cstdint>
#include <string>

namespace usernic {

struct SimnicConfig {
  std::string wire = "w0";            // the cards on one wire hear each other
  uint32_t unicast_slots = 8;         // exact entries besides the own address, which has a register
  uint32_t multicast_slots = 16;      // exact entries; not used with shared_slots
  bool shared_slots = false;          // `unicast_slots` entries serve both classes
  uint32_t unicast_hash_bits = 0;     // buckets: 0 or a power of two
  uint32_t multicast_hash_bits = 64;  // buckets: 0 or a power of two
  uint32_t vlan_slots = 0;            // VLAN ids; 0: no VLAN filter, every VLAN passes
  bool promisc = true;                // can accept everything
  bool allmulti = true;               // can accept every multicast
  uint64_t command_latency_us = 0;    // of one mailbox transaction, that is: of one call of the driver's rx mode
  uint32_t rx_queues = 1;             // each with a ring; what comes is spread over them by its flow
  uint32_t tx_queues = 1;
  uint32_t rx_descriptors = 256;  // of a ring: powers of two
  uint32_t tx_descriptors = 256;
  bool flow_control = true;  // makes others wait when it has no RX descriptor, and waits for them
  bool byte_limits = false;  // its driver gives it no more to send than keeps it busy
  bool checksum = false;     // writes the sums of what it sends
  bool tso = false;          // that, too, and takes superframes, both ways; it cuts them for who does not
  bool offloads() const noexcept { return checksum || tso; }
  bool operator==(const SimnicConfig&) const = default;
};

inline constexpr uint32_t kSimnicSlotsMax = 65536;
inline constexpr uint32_t kSimnicHashBitsMax = 4096;
inline constexpr uint32_t kSimnicVlansMax = 4094;
inline constexpr uint64_t kSimnicLatencyUsMax = 3'600'000'000;
inline constexpr uint32_t kSimnicQueuesMax = 8;
inline constexpr uint32_t kSimnicDescriptorsMax = 4096;
inline constexpr uint32_t kSimnicTsoDescriptors = 128;  // at least

// Empty when such a card can be built, else one sentence that names the field and what would be right.
std::string config_error(const SimnicConfig& config);

}  // namespace usernic
// Explained best by: drivers/simnic/card_test.cc
