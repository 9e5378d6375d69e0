// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the core does to a frame for a device that cannot: its sum, and cutting a superframe (offload.h).
//
// Each segment is a whole frame with headers and sums of its own: TCP and UDP over IPv4 and IPv6, behind VLAN tags,
// IPv4 options and IPv6 extension headers. Lengths, sequence numbers and IPv4 ids count on; CWR is the first one's, PSH
// and FIN are the last one's. [kernel: skb_checksum_help, tcp_gso_segment, __udp_gso_segment]
#pragma once

#include <optional>

#include "core/frame/inet_headers.h"
#include "usernic/skb.h"

namespace usernic {

// Writes the sum that is needed. False: there is no such place in the frame.
bool complete_sum(Skb& skb) noexcept USERNIC_NONBLOCKING;

// kBySegment: segments have their sums. kByDevice: the sum of each is needed.
enum class SegmentSums : uint8_t { kBySegment, kByDevice };

class Segmenter {
 public:
  // Nothing when the frame is not what its offload says.
  static std::optional<Segmenter> of(Skb& super) noexcept USERNIC_NONBLOCKING;

  uint32_t segments() const noexcept { return segments_of(super_.offload(), super_.size()); }
  uint32_t bytes_max() const noexcept { return headers_.payload + super_.offload().gso_size; }
  // Moves as many segments from the front as there are `buffers`, empty frames with room for bytes_max(), to the end of
  // `to`. What is left is a shorter superframe; true: nothing is.
  bool cut(SkbBatch& buffers, SkbBatch& to, SegmentSums sums) noexcept USERNIC_NONBLOCKING;

 private:
  Segmenter(Skb& super, const inet::Headers& headers) noexcept : super_(super), headers_(headers) {}
  void write(Skb& to, uint32_t index, bool last, SegmentSums sums) const noexcept USERNIC_NONBLOCKING;
  void drop_front(uint32_t segments) noexcept USERNIC_NONBLOCKING;

  Skb& super_;
  const inet::Headers headers_;
};

}  // namespace usernic
// Explained best by: core/frame/segment_test.cc
