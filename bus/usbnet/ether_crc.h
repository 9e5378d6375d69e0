// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: the Ethernet CRC of an address, of which a card's hash takes the top bits. [IEEE 802.3, 3.2.9]
#pragma once

#include <cstdint>

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

}  // namespace usernic::usb
