// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: what the chip counts, in the order of its block: a word each. Octets and LPI have 32 bits, the rest 20, and
// begin again at zero. [L]
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace usernic::lan78xx {

// Either half begins with what went wrong; then octets and frames, each unicast, broadcast, multicast; then sizes.
enum Counter : uint8_t {
  kRxOversize = 5,
  kRxDropped = 6,
  kRxOctets = 7,
  kRxFrames = 10,
  kRxSizes = 14,
  kTxOctets = 31,
  kTxFrames = 34,
  kTxSizes = 38,
};

inline constexpr std::array<std::string_view, 47> kCounterNames{
    "rx_fcs_errors",
    "rx_alignment_errors",
    "rx_fragments",
    "rx_jabbers",
    "rx_undersize",
    "rx_oversize",
    "rx_dropped",
    "rx_unicast_octets",
    "rx_broadcast_octets",
    "rx_multicast_octets",
    "rx_unicast",
    "rx_broadcast",
    "rx_multicast",
    "rx_pause",
    "rx_64",
    "rx_65_127",
    "rx_128_255",
    "rx_256_511",
    "rx_512_1023",
    "rx_1024_1518",
    "rx_1519_up",
    "rx_lpi_transitions",
    "rx_lpi_time",
    "tx_fcs_errors",
    "tx_excess_deferrals",
    "tx_carrier_errors",
    "tx_bad_octets",
    "tx_single_collisions",
    "tx_multiple_collisions",
    "tx_excessive_collisions",
    "tx_late_collisions",
    "tx_unicast_octets",
    "tx_broadcast_octets",
    "tx_multicast_octets",
    "tx_unicast",
    "tx_broadcast",
    "tx_multicast",
    "tx_pause",
    "tx_64",
    "tx_65_127",
    "tx_128_255",
    "tx_256_511",
    "tx_512_1023",
    "tx_1024_1518",
    "tx_1519_up",
    "tx_lpi_transitions",
    "tx_lpi_time",
};
static_assert(kCounterNames[kRxDropped] == "rx_dropped" && kCounterNames[kRxOctets] == "rx_unicast_octets" &&
              kCounterNames[kRxFrames] == "rx_unicast" && kCounterNames[kRxSizes] == "rx_64" &&
              kCounterNames[kTxOctets] == "tx_unicast_octets" && kCounterNames[kTxFrames] == "tx_unicast" &&
              kCounterNames[kTxSizes] == "tx_64" && kCounterNames[kRxOversize] == "rx_oversize");

}  // namespace usernic::lan78xx
