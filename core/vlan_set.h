// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: VLAN ids, as a set, and who wants one.
#pragma once

#include <bitset>
#include <cstdint>

namespace usernic {

inline constexpr uint16_t kVlanIds = 4095;  // 0 .. 4094
using VlanSet = std::bitset<kVlanIds>;

// The units of an id's references: 20 bits for the uppers', of which each link has one, 12 for the users'.
struct VlanRefs {
  static constexpr uint32_t kUpper = 1;
  static constexpr uint32_t kUser = 1u << 20;
};

}  // namespace usernic
