// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/mac_address.h"

#include <fmt/format.h>

#include <cstring>

#include "usernic/env.h"

namespace usernic {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

MacAddress MacAddress::from_bytes(const void* six_octets) noexcept {
  MacAddress address;
  std::memcpy(address.octets.data(), six_octets, address.octets.size());
  return address;
}

MacAddress MacAddress::generate() noexcept {
  return from_u64(((random_u64() & 0xffff'ffff'ffff) & ~0x0100'0000'0000ull) | 0x0200'0000'0000ull);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) noexcept {
  constexpr size_t kLength = 17;  // six pairs, five colons
  if (text.size() != kLength) return std::nullopt;
  MacAddress address;
  for (size_t i = 0; i < address.octets.size(); ++i) {
    const int high = hex_digit(text[3 * i]);
    const int low = hex_digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':')) return std::nullopt;
    address.octets[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return address;
}

std::string MacAddress::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", octets[0], octets[1], octets[2], octets[3], octets[4],
                     octets[5]);
}

}  // namespace usernic
