// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: words in octets, little-endian, as the chip has them on the bus.
#pragma once

#include <cstdint>
#include <span>

namespace usernic::lan78xx {

// Requires: four octets from `at` on.
constexpr uint32_t get_word(std::span<const uint8_t> octets, size_t at = 0) noexcept {
  return octets[at] | uint32_t{octets[at + 1]} << 8 | uint32_t{octets[at + 2]} << 16 | uint32_t{octets[at + 3]} << 24;
}
constexpr void put_word(std::span<uint8_t> octets, size_t at, uint32_t word) noexcept {
  for (size_t n = 0; n < 4; ++n) octets[at + n] = static_cast<uint8_t>(word >> 8 * n);
}
constexpr uint32_t round_up(uint32_t size, uint32_t alignment) noexcept {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace usernic::lan78xx
