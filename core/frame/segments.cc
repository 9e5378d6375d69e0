// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/segments.h"

#include <algorithm>
#include <cstring>

#include "core/frame/inet_headers.h"
#include "core/frame/inet_sum.h"

namespace usernic {

using inet::Headers;

namespace {

bool is_as_said(const Headers& headers, const Offload& offload) noexcept USERNIC_NONBLOCKING {
  switch (offload.gso) {
    case Gso::kTcp4:
      return headers.protocol == inet::kTcp && !headers.v6;
    case Gso::kTcp6:
      return headers.protocol == inet::kTcp && headers.v6;
    case Gso::kUdp:
      return headers.protocol == inet::kUdp;
    case Gso::kNone:
      break;
  }
  return false;
}

}  // namespace

bool complete_sum(std::span<uint8_t> frame, const Offload& offload) noexcept {
  const uint32_t field = uint32_t{offload.sum_start} + offload.sum_offset;
  if (field + 2 > frame.size()) return false;
  // A sum that starts at an odd octet of memory is as good: only its own octets are paired.
  const auto sum = static_cast<uint16_t>(~inet::fold(inet::sum_of(frame.subspan(offload.sum_start))));
  const bool udp = offload.sum_offset == inet::sum_field(inet::kUdp);
  inet::store_sum(&frame[field], sum == 0 && udp ? 0xffff : sum);
  return true;
}

std::optional<Segments> Segments::of(std::span<const uint8_t> start, uint32_t bytes, const Offload& offload) noexcept {
  if (offload.gso_size == 0) return {};
  const auto headers = inet::find_headers(start, inet::Length::kAll);
  if (!headers || !is_as_said(*headers, offload) || bytes <= headers->payload) return {};
  Segments segments;
  segments.start_ = start.data();
  segments.gso_ = offload.gso;
  segments.v6_ = headers->v6;
  segments.ecn_ = offload.ecn;
  segments.network_ = headers->network;
  segments.transport_ = headers->transport;
  segments.payload_ = headers->payload;
  segments.size_ = offload.gso_size;
  segments.end_ = bytes;
  segments.pseudo_sum_ = offload.sum == FrameSum::kNeeded
                             ? inet::load_sum(&start[headers->transport] + inet::sum_field(headers->protocol))
                             : inet::fold(inet::pseudo_sum(start.data(), *headers, bytes - headers->transport));
  return segments;
}

Offload Segments::offload() const noexcept {
  return {.sum = FrameSum::kNeeded,
          .gso = gso_,
          .ecn = ecn_,
          .sum_offset = inet::sum_field(tcp() ? inet::kTcp : inet::kUdp),
          .sum_start = transport_,
          .gso_size = size_,
          .header_bytes = payload_};
}

Segments::Payload Segments::payload(uint32_t index) const noexcept {
  const uint32_t from = payload_ + index * size_;
  return {from, std::min<uint32_t>(size_, end_ - from)};
}

Offload Segments::segment_offload(SegmentSums sums) const noexcept {
  if (sums == SegmentSums::kBySegment) return {};
  return {.sum = FrameSum::kNeeded,
          .sum_offset = inet::sum_field(tcp() ? inet::kTcp : inet::kUdp),
          .sum_start = transport_};
}

uint32_t Segments::write_headers(uint8_t* frame, uint32_t index, SegmentSums sums) const noexcept {
  return write_headers(frame, payload(index), sums);
}

// `frame` may overlap the superframe's own headers.
uint32_t Segments::write_headers(uint8_t* frame, Payload payload, SegmentSums sums) const noexcept {
  const uint32_t before = payload.from - payload_;
  std::memmove(frame, start_, payload_);
  uint8_t* const packet = frame + transport_;
  const uint32_t length = payload_ - transport_ + payload.bytes;
  if (!v6_) {
    uint8_t* const id = frame + network_ + 4;
    inet::store16(id, inet::load16(id) + before / size_);
  }
  const Headers headers{.v6 = v6_,
                        .protocol = tcp() ? inet::kTcp : inet::kUdp,
                        .network = network_,
                        .transport = transport_,
                        .payload = payload_,
                        .end = payload_ + payload.bytes};
  inet::set_length(frame, headers, length);
  if (tcp()) {
    inet::store32(packet + 4, inet::load32(packet + 4) + before);
    if (before != 0) packet[13] &= static_cast<uint8_t>(~inet::kCwr);
    if (payload.from + payload.bytes != end_) packet[13] &= static_cast<uint8_t>(~(inet::kPsh | inet::kFin));
  }
  // What the sum of a packet has besides its octets, whose field is 0 for it: of the pseudo header that the sender has
  // summed up, which knows the last destination behind a routing header; with another length.
  uint8_t* const field = packet + inet::sum_field(headers.protocol);
  const uint64_t pseudo = uint64_t{pseudo_sum_} + inet::minus(end_ - transport_) + inet::plus(length);
  if (sums == SegmentSums::kByDevice) {
    inet::store_sum(field, inet::fold(pseudo));
    return headers.end;
  }
  inet::store_sum(field, 0);
  const auto sum = static_cast<uint16_t>(~inet::fold(pseudo + inet::sum_of({packet, length})));
  inet::store_sum(field, sum == 0 && !tcp() ? 0xffff : sum);
  return headers.end;
}

}  // namespace usernic
