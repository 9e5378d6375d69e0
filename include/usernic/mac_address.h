// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: an Ethernet address.
//
// Six octets in wire order. Written lower-case with colons ("02:00:00:00:00:01"); ordered and compared by
// octets. Longer link addresses (IPoIB's 20) are not supported yet.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "usernic/annotations.h"

namespace usernic {

struct MacAddress {
  std::array<uint8_t, 6> octets{};

  constexpr auto operator<=>(const MacAddress&) const noexcept = default;
  constexpr bool operator==(const MacAddress& other) const noexcept { return to_u64() == other.to_u64(); }

  constexpr bool is_multicast() const noexcept { return (octets[0] & 1) != 0; }
  constexpr bool is_broadcast() const noexcept { return to_u64() == 0xffff'ffff'ffff; }
  constexpr bool is_zero() const noexcept { return to_u64() == 0; }
  // May it be a device's own address [kernel: is_valid_ether_addr]?
  constexpr bool is_valid_own() const noexcept { return !is_multicast() && !is_zero(); }

  // The octets as a number, first octet most significant.
  constexpr uint64_t to_u64() const noexcept {
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
      // Two loads and two swaps: this is in the path of every change of an address list.
      uint32_t first = 0;
      uint16_t last = 0;
      std::memcpy(&first, octets.data(), sizeof first);
      std::memcpy(&last, octets.data() + sizeof first, sizeof last);
      return uint64_t{std::byteswap(first)} << 16 | std::byteswap(last);
    }
    uint64_t value = 0;
    for (uint8_t octet : octets) value = value << 8 | octet;
    return value;
  }
  static constexpr MacAddress from_u64(uint64_t value) noexcept {
    MacAddress address;
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
      const uint32_t first = std::byteswap(static_cast<uint32_t>(value >> 16));
      const uint16_t last = std::byteswap(static_cast<uint16_t>(value));
      std::memcpy(address.octets.data(), &first, sizeof first);
      std::memcpy(address.octets.data() + sizeof first, &last, sizeof last);
      return address;
    }
    for (int i = 5; i >= 0; --i, value >>= 8) address.octets[i] = static_cast<uint8_t>(value);
    return address;
  }
  static MacAddress from_bytes(const void* six_octets) noexcept USERNIC_NONBLOCKING;

  // Unicast, locally administered [kernel: eth_random_addr].
  static MacAddress generate() noexcept;

  // Exactly "xx:xx:xx:xx:xx:xx", either case; nullopt for anything else.
  static std::optional<MacAddress> parse(std::string_view text) noexcept;
  std::string to_string() const;
};

inline constexpr MacAddress kBroadcast = MacAddress::from_u64(0xffff'ffff'ffff);

}  // namespace usernic
