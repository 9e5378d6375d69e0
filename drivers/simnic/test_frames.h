// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: frames for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/simnic/frame.h"
#include "usernic/env.h"
#include "usernic/mac_address.h"

namespace usernic::simnic {

inline constexpr MacAddress kOwnA = MacAddress::from_u64(0x0200'0000'0001);
inline constexpr MacAddress kOwnB = MacAddress::from_u64(0x0200'0000'0002);

// The n-th of many unicast / multicast addresses.
constexpr MacAddress unicast(uint64_t n) noexcept {
  return MacAddress::from_u64(0x0600'0000'0000 + n);
}
constexpr MacAddress multicast(uint64_t n) noexcept {
  return MacAddress::from_u64(0x0100'5e00'0000 + n);
}

// A frame of `size` octets in all, with `number` behind the header to tell it from others.
inline std::vector<uint8_t> make_frame(const MacAddress& to, uint32_t size = 60, uint32_t number = 0,
                                       std::optional<uint16_t> vlan = std::nullopt) {
  std::vector<uint8_t> frame(size);
  std::copy(to.octets.begin(), to.octets.end(), frame.begin());
  std::copy(kOwnA.octets.begin(), kOwnA.octets.end(), frame.begin() + 6);
  size_t at = 12;
  if (vlan) {
    for (uint8_t octet : {uint8_t{0x81}, uint8_t{0x00}, uint8_t(*vlan >> 8), uint8_t(*vlan)}) frame[at++] = octet;
  }
  frame[at++] = 0x88;  // a local experimental type
  frame[at++] = 0xb5;
  for (int shift = 24; shift >= 0 && at < size; shift -= 8) frame[at++] = static_cast<uint8_t>(number >> shift);
  return frame;
}

// The number of an untagged frame.
inline uint32_t number_of(Frame frame) noexcept {
  return uint32_t{frame[14]} << 24 | uint32_t{frame[15]} << 16 | uint32_t{frame[16]} << 8 | frame[17];
}

// Long enough for a loaded machine; a test that waits for it has failed.
inline Time soon() noexcept {
  return Clock::now() + std::chrono::minutes(2);
}

}  // namespace usernic::simnic
