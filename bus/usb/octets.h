// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: numbers in octets, little-endian, as everything on this bus is.
//
// Beyond the end of the octets there are zeros, and nothing is written: what a device sends may be shorter than it
// says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace usernic::usb {

constexpr uint32_t le(std::span<const uint8_t> octets, size_t at, size_t width) noexcept {
  uint32_t value = 0;
  for (size_t n = 0; n < width && at < octets.size() && n < octets.size() - at; ++n) {
    value |= uint32_t{octets[at + n]} << 8 * n;
  }
  return value;
}
constexpr uint16_t le16(std::span<const uint8_t> octets, size_t at) noexcept {
  return static_cast<uint16_t>(le(octets, at, 2));
}
constexpr uint32_t le32(std::span<const uint8_t> octets, size_t at) noexcept {
  return le(octets, at, 4);
}
constexpr void put_le(std::span<uint8_t> octets, size_t at, uint32_t value, size_t width) noexcept {
  for (size_t n = 0; n < width && at < octets.size() && n < octets.size() - at; ++n) {
    octets[at + n] = static_cast<uint8_t>(value >> 8 * n);
  }
}
constexpr void put_le16(std::span<uint8_t> octets, size_t at, uint32_t value) noexcept {
  put_le(octets, at, value, 2);
}
constexpr void put_le32(std::span<uint8_t> octets, size_t at, uint32_t value) noexcept {
  put_le(octets, at, value, 4);
}

}  // namespace usernic::usb
// Explained best by: bus/usb/octets_test.cc
