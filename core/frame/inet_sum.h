// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the Internet checksum [RFC 1071], as a sum that is not folded yet.
//
// Sums are of octets as they stand in memory, in the machine's order: the one's complement sum does not mind, as long
// as it is stored the same way. Each sum starts at an even octet.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "usernic/annotations.h"

namespace usernic::inet {

uint64_t sum_of(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING;

constexpr uint16_t fold(uint64_t sum) noexcept {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// A number of 16 bits as it stands in a header, read by sum_of; and fields of numbers.
constexpr uint16_t wire(uint32_t value) noexcept {
  const auto number = static_cast<uint16_t>(value);
  return std::endian::native == std::endian::little ? __builtin_bswap16(number) : number;
}
inline uint16_t load16(const uint8_t* from) noexcept {
  return static_cast<uint16_t>(from[0] << 8 | from[1]);
}
inline void store16(uint8_t* to, uint32_t value) noexcept {
  to[0] = static_cast<uint8_t>(value >> 8);
  to[1] = static_cast<uint8_t>(value);
}
inline uint32_t load32(const uint8_t* from) noexcept {
  return uint32_t{load16(from)} << 16 | load16(from + 2);
}
inline void store32(uint8_t* to, uint32_t value) noexcept {
  store16(to, value >> 16);
  store16(to + 2, value & 0xffff);
}
// The field of a sum, as sum_of counts.
inline uint16_t load_sum(const uint8_t* from) noexcept {
  uint16_t sum;
  std::memcpy(&sum, from, sizeof sum);
  return sum;
}
inline void store_sum(uint8_t* to, uint16_t sum) noexcept {
  std::memcpy(to, &sum, sizeof sum);
}

// What adding `number` to a sum in memory order takes, and what takes it away.
constexpr uint64_t plus(uint32_t number) noexcept {
  return uint64_t{wire(number & 0xffff)} + wire(number >> 16);
}
constexpr uint64_t minus(uint32_t number) noexcept {
  return static_cast<uint16_t>(~fold(plus(number)));
}

}  // namespace usernic::inet
