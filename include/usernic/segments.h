// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a superframe (offload.h) becomes on the wire, octet by octet.
//
// The core cuts superframes for a device without the feature; this is for who has the octets and no Skb, as a card of
// software. A segment is whole when its payload is copied and its headers are written around it:
//
//   if (const auto segments = Segments::of(super, super.size(), offload)) {
//     for (uint32_t i = 0; i < segments->count(); ++i) {
//       const auto [from, bytes] = segments->payload(i);
//       std::memcpy(room + segments->header_bytes(), super.data() + from, bytes);
//       send({room, segments->write_headers(room, i, SegmentSums::kBySegment)});
//     }
//   }
//
// TCP and UDP over IPv4 and IPv6, behind VLAN tags, IPv4 options and IPv6 extension headers. Lengths, sequence numbers
// and IPv4 ids count on; CWR is the first one's, PSH and FIN are the last one's.
// Locks: none. Context: any. [kernel: skb_checksum_help, tcp_gso_segment, __udp_gso_segment]
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "usernic/annotations.h"
#include "usernic/offload.h"

namespace usernic {

// Writes the sum that is needed into the frame. False: there is no such place in it.
bool complete_sum(std::span<uint8_t> frame, const Offload& offload) noexcept USERNIC_NONBLOCKING;

// kBySegment: segments have their sums. kByDevice: the sum of each is needed.
enum class SegmentSums : uint8_t { kBySegment, kByDevice };

class Segments {
 public:
  // Of a superframe of `bytes` octets that begins with `start`, which has all headers and outlives the result. Nothing:
  // it is not what its offload says.
  static std::optional<Segments> of(std::span<const uint8_t> start, uint32_t bytes, const Offload& offload) noexcept
      USERNIC_NONBLOCKING;

  uint32_t count() const noexcept { return (payload_bytes() + size_ - 1) / size_; }
  uint32_t header_bytes() const noexcept { return payload_; }
  uint32_t bytes_max() const noexcept { return payload_ + size_; }  // of a segment
  // The offload, exactly: the kernel counts neither headers nor sum where it does not need them.
  Offload offload() const noexcept USERNIC_NONBLOCKING;

  // Where the payload of a segment is in the superframe, and how much it is.
  struct Payload {
    uint32_t from, bytes;
  };
  Payload payload(uint32_t index) const noexcept USERNIC_NONBLOCKING;
  // Writes the headers of a segment to `frame`, before its payload, and returns how long the frame is.
  uint32_t write_headers(uint8_t* frame, uint32_t index, SegmentSums sums) const noexcept USERNIC_NONBLOCKING;
  // What is needed of its sum then.
  Offload segment_offload(SegmentSums sums) const noexcept USERNIC_NONBLOCKING;

 private:
  friend class Segmenter;
  Segments() noexcept = default;
  uint32_t write_headers(uint8_t* frame, Payload payload, SegmentSums sums) const noexcept USERNIC_NONBLOCKING;
  uint32_t payload_bytes() const noexcept { return end_ - payload_; }
  bool tcp() const noexcept { return gso_ != Gso::kUdp; }

  const uint8_t* start_ = nullptr;
  Gso gso_ = Gso::kNone;
  bool v6_ = false, ecn_ = false;
  uint16_t network_ = 0, transport_ = 0, payload_ = 0;  // where the headers are
  uint16_t pseudo_sum_ = 0;                             // as the sender has summed it up
  uint16_t size_ = 1;
  uint32_t end_ = 0;
};

}  // namespace usernic
// Explained best by: core/frame/segment_test.cc
