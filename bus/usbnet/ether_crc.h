// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: the Ethernet CRC: of an address, of which a card's hash takes the top bits; of a frame, its FCS.
// [IEEE 802.3, 3.2.9]
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "usernic/mac_address.h"

namespace usernic::usb {

// Most significant bit first, not inverted.
constexpr uint32_t ether_crc(const MacAddress& address) noexcept {
  uint32_t crc = ~0u;
  for (const uint8_t octet : address.octets) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint32_t carry = (crc >> 31) ^ ((octet >> bit) & 1u);
      crc = crc << 1 ^ (carry != 0 ? 0x04c1'1db7u : 0u);
    }
  }
  return crc;
}

inline constexpr auto kFcsTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t n = 0; n < table.size(); ++n) {
    table[n] = n;
    for (int bit = 0; bit < 8; ++bit) table[n] = table[n] >> 1 ^ ((table[n] & 1) != 0 ? 0xedb8'8320u : 0u);
  }
  return table;
}();

constexpr uint32_t fcs_of(std::span<const uint8_t> frame) noexcept {
  uint32_t crc = ~0u;
  for (const uint8_t octet : frame) crc = crc >> 8 ^ kFcsTable[(crc ^ octet) & 0xff];
  return ~crc;
}

}  // namespace usernic::usb
