// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: VLAN ids, as a set.
#pragma once

#include <bitset>
#include <cstdint>

namespace usernic {

inline constexpr uint16_t kVlanIds = 4095;  // 0 .. 4094
using VlanSet = std::bitset<kVlanIds>;

}  // namespace usernic
