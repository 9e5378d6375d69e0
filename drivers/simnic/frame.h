// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: an Ethernet frame on the wire: octets, without FCS.
#pragma once

#include <cstdint>
#include <span>

#include "usernic/offload.h"

namespace usernic::simnic {

// Ends that take superframes (offload.h) are given what is left to do on a frame; for others that is nothing.
struct Frame : std::span<const uint8_t> {
  using span::span;
  constexpr Frame(std::span<const uint8_t> octets, const Offload& left = {}) noexcept : span(octets), offload(left) {}
  Offload offload;
};

inline constexpr uint32_t kFrameMin = 60;     // a shorter one is a runt [IEEE 802.3 4A.4.2: 64 with FCS]
inline constexpr uint32_t kHeaderBytes = 14;  // destination, source, type
inline constexpr uint32_t kVlanTagBytes = 4;  // between source and type [IEEE 802.1Q]

}  // namespace usernic::simnic
