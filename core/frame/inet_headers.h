// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: where the headers of a frame are: Ethernet, VLAN tags, IPv4 or IPv6, TCP or UDP.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "usernic/annotations.h"

namespace usernic::inet {

inline constexpr uint8_t kTcp = 6, kUdp = 17;
inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20, kEce = 0x40,
                         kCwr = 0x80;

// Offsets from the frame's first octet; all of them, and what they say is there, within the frame.
struct Headers {
  bool v6 = false;
  uint8_t protocol = 0;    // kTcp or kUdp
  uint16_t network = 0;    // of the IP header; even
  uint16_t transport = 0;  // even
  uint16_t payload = 0;
  uint32_t end = 0;  // of the packet; what is behind it is padding
  uint32_t payload_bytes() const noexcept { return end - payload; }
  uint32_t transport_bytes() const noexcept { return end - transport; }
};

// kSaid: the packet ends where its own length says. kAll: with the frame; of a superframe, whose length field may not
// be able to say.
enum class Length : uint8_t { kSaid, kAll };

// Nothing of a frame that has other headers, of a fragment, and of one whose lengths contradict each other.
std::optional<Headers> find_headers(std::span<const uint8_t> frame, Length length) noexcept USERNIC_NONBLOCKING;

// The sum of the pseudo header of a TCP or UDP packet of so many octets, not folded. IPv6: of the address in the
// header.
uint64_t pseudo_sum(const uint8_t* frame, const Headers& headers, uint32_t transport_bytes) noexcept
    USERNIC_NONBLOCKING;

// Where a TCP or UDP header has its sum.
constexpr uint8_t sum_field(uint8_t protocol) noexcept {
  return protocol == kTcp ? 16 : 6;
}

// Puts a frame's IPv4 header sum right. Requires: IPv4.
void set_ip_sum(uint8_t* frame, const Headers& headers) noexcept USERNIC_NONBLOCKING;
// Says how long the packet is, in the IP header and UDP's. The IPv4 header's sum is right then.
void set_length(uint8_t* frame, const Headers& headers, uint32_t transport_bytes) noexcept USERNIC_NONBLOCKING;

// Are the sums of a frame right: IPv4's, if it has one, and the packet's?
bool sums_are_right(std::span<const uint8_t> frame, const Headers& headers) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic::inet
