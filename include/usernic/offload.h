// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what is left to do on a frame: to write its checksum, and to cut it.
//
// A *superframe* is one TCP or UDP packet that is longer than the MTU and becomes several frames on the wire, its
// segments. Each segment begins with a copy of the first `header_bytes` octets, in which length, sequence number,
// IPv4 id, flags and sum are its own. A superframe that is sent is one buffer, and its sum is kNeeded. A device gets
// what its features say; the core does the rest before start_xmit. Received frames of one flow are merged into a
// superframe whose payload goes on in its chain. [kernel: skb ip_summed, gso_type, gso_size]
#pragma once

#include <cstdint>

namespace usernic {

// kNone: nobody has checked the sum in the frame. kNeeded: the field has the sum of the pseudo header, and the sum of
// all octets from `sum_start` on is to be written there. kVerified: the sum is right. [kernel: CHECKSUM_NONE, _PARTIAL,
// _UNNECESSARY]
enum class FrameSum : uint8_t { kNone, kNeeded, kVerified };

// What a superframe is cut as: TCP over IPv4 or IPv6, UDP datagrams over either. [kernel: SKB_GSO_TCPV4, _TCPV6,
// _UDP_L4]
enum class Gso : uint8_t { kNone, kTcp4, kTcp6, kUdp };

// Offsets count from the frame's first octet; push and pull adapt them.
struct Offload {
  FrameSum sum = FrameSum::kNone;
  Gso gso = Gso::kNone;
  bool ecn = false;           // the first segment, and no other, says CWR
  uint8_t sum_offset = 0;     // of the field, from sum_start
  uint16_t sum_start = 0;     // of the TCP or UDP header
  uint16_t gso_size = 0;      // payload of each segment but the last, which may have less
  uint16_t header_bytes = 0;  // before the payload

  constexpr bool superframe() const noexcept { return gso != Gso::kNone; }
  // Is there something to do for the driver, or for the core before it?
  constexpr bool any() const noexcept { return sum == FrameSum::kNeeded || superframe(); }
  bool operator==(const Offload&) const = default;
};
static_assert(sizeof(Offload) == 10);

// How many frames a frame of `size` octets is on the wire.
constexpr uint32_t segments_of(const Offload& offload, uint32_t size) noexcept {
  if (!offload.superframe() || size <= offload.header_bytes || offload.gso_size == 0) return 1;
  return (size - offload.header_bytes + offload.gso_size - 1) / offload.gso_size;
}

}  // namespace usernic
// Explained best by: core/frame/segment_test.cc
