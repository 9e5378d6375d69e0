// SPDX-License-Identifier: Apache-2.0
// simnic: an Ethernet frame on the wire: octets, without FCS.
#pragma once

#include <cstdint>
#include <span>

namespace usernic::simnic {

using Frame = std::span<const uint8_t>;

inline constexpr uint32_t kHeaderBytes = 14;  // destination, source, type
inline constexpr uint32_t kVlanTagBytes = 4;  // between source and type [IEEE 802.1Q]

}  // namespace usernic::simnic
