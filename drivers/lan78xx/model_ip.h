// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: what the model knows of IP: the sums that the chip looks at and writes, and how it cuts a TCP packet.
// [RFC 791, 8200, 9293, 768, 1071]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "usernic/annotations.h"

namespace usernic::lan78xx {

// Where things are in a frame that is IP; whole, and with lengths that lie in it.
struct IpPacket {
  size_t network = 0;    // where its header begins
  size_t transport = 0;  // where TCP's or UDP's does
  size_t end = 0;        // behind its last octet
  bool v6 = false;
  uint8_t protocol = 0;  // TCP or UDP; anything else, and all of a fragment, is 0

  bool operator==(const IpPacket&) const = default;
};
inline constexpr uint8_t kTcp = 6, kUdp = 17;

// `network`: where the frame's EtherType ends.
std::optional<IpPacket> find_ip(std::span<const uint8_t> frame, size_t network) noexcept USERNIC_NONBLOCKING;

// All octets as words of 16 bits, most significant first, added with carry.
uint16_t raw_sum(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING;
bool header_sum_right(std::span<const uint8_t> frame, const IpPacket& ip) noexcept USERNIC_NONBLOCKING;
bool transport_sum_right(std::span<const uint8_t> frame, const IpPacket& ip) noexcept USERNIC_NONBLOCKING;
void write_header_sum(std::span<uint8_t> frame, const IpPacket& ip) noexcept;
void write_transport_sum(std::span<uint8_t> frame, const IpPacket& ip) noexcept;

// The frames that a TCP packet becomes, `payload` octets each at most; their sums are to be written. Empty: it is none.
std::vector<std::vector<uint8_t>> cut(std::span<const uint8_t> frame, size_t network, size_t payload);

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/model_ip_test.cc
