// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/segment.h"

#include <algorithm>
#include <cstring>

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

// What the sum of a packet has besides its octets, whose field is 0 for it: of the pseudo header that the sender has
// summed up, which knows the last destination behind a routing header; with another length.
uint64_t other_length(uint16_t field, uint32_t before, uint32_t now) noexcept USERNIC_NONBLOCKING {
  return uint64_t{field} + inet::minus(before) + inet::plus(now);
}

}  // namespace

bool complete_sum(Skb& skb) noexcept {
  const Offload& offload = skb.offload();
  const uint32_t field = uint32_t{offload.sum_start} + offload.sum_offset;
  if (field + 2 > skb.size()) return false;
  uint8_t* const at = skb.data() + field;
  // A sum that starts at an odd octet of memory is as good: only its own octets are paired.
  const auto sum = static_cast<uint16_t>(~inet::fold(inet::sum_of(skb.bytes().subspan(offload.sum_start))));
  const bool udp = offload.sum_offset == inet::sum_field(inet::kUdp);
  inet::store_sum(at, sum == 0 && udp ? 0xffff : sum);
  skb.set_offload({});
  return true;
}

std::optional<Segmenter> Segmenter::of(Skb& super) noexcept {
  const Offload& offload = super.offload();
  if (super.chain() != nullptr || offload.gso_size == 0) return {};
  const auto headers = inet::find_headers(super.bytes(), inet::Length::kAll);
  if (!headers || !is_as_said(*headers, offload) || headers->payload_bytes() == 0) return {};
  // The kernel counts neither of the two where it does not need them.
  Offload exact = offload;
  exact.header_bytes = headers->payload;
  if (offload.sum != FrameSum::kNeeded) {
    uint8_t* const packet = super.data() + headers->transport;
    inet::store_sum(packet + inet::sum_field(headers->protocol),
                    inet::fold(inet::pseudo_sum(super.data(), *headers, headers->transport_bytes())));
  }
  exact.sum = FrameSum::kNeeded;
  exact.sum_start = headers->transport;
  exact.sum_offset = inet::sum_field(headers->protocol);
  super.set_offload(exact);
  return Segmenter(super, *headers);
}

void Segmenter::write(Skb& to, uint32_t index, bool last, SegmentSums sums) const noexcept {
  const uint32_t size_max = super_.offload().gso_size;
  const uint32_t from = index * size_max;
  const uint32_t bytes = std::min(size_max, headers_.payload_bytes() - from);
  uint8_t* const frame = to.put(headers_.payload + bytes);
  std::memcpy(frame, super_.data(), headers_.payload);
  std::memcpy(frame + headers_.payload, super_.data() + headers_.payload + from, bytes);

  uint8_t* const packet = frame + headers_.transport;
  const uint32_t length = headers_.payload - headers_.transport + bytes;
  if (!headers_.v6) {
    uint8_t* const id = frame + headers_.network + 4;
    inet::store16(id, inet::load16(id) + index);
  }
  inet::set_length(frame, headers_, length);
  if (headers_.protocol == inet::kTcp) {
    inet::store32(packet + 4, inet::load32(packet + 4) + from);
    if (index != 0) packet[13] &= static_cast<uint8_t>(~inet::kCwr);
    if (!last) packet[13] &= static_cast<uint8_t>(~(inet::kPsh | inet::kFin));
  }
  uint8_t* const field = packet + inet::sum_field(headers_.protocol);
  const uint64_t pseudo = other_length(inet::load_sum(field), headers_.transport_bytes(), length);
  if (sums == SegmentSums::kByDevice) {
    inet::store_sum(field, inet::fold(pseudo));
    to.set_offload(
        {.sum = FrameSum::kNeeded, .sum_offset = inet::sum_field(headers_.protocol), .sum_start = headers_.transport});
    return;
  }
  inet::store_sum(field, 0);
  const auto sum = static_cast<uint16_t>(~inet::fold(pseudo + inet::sum_of({packet, length})));
  inet::store_sum(field, sum == 0 && headers_.protocol == inet::kUdp ? 0xffff : sum);
}

// What was cut off makes room for the headers of what is left.
void Segmenter::drop_front(uint32_t segments) noexcept {
  const uint32_t bytes = segments * super_.offload().gso_size;
  const Offload offload = super_.offload();
  std::memmove(super_.data() + bytes, super_.data(), headers_.payload);
  super_.pull(bytes);
  super_.set_offload(offload);
  uint8_t* const frame = super_.data();
  uint8_t* const packet = frame + headers_.transport;
  const uint32_t before = headers_.transport_bytes();
  if (!headers_.v6) {
    uint8_t* const id = frame + headers_.network + 4;
    inet::store16(id, inet::load16(id) + segments);
  }
  if (headers_.protocol == inet::kTcp) {
    inet::store32(packet + 4, inet::load32(packet + 4) + bytes);
    packet[13] &= static_cast<uint8_t>(~inet::kCwr);
  }
  inet::set_length(frame, headers_, before - bytes);
  uint8_t* const field = packet + inet::sum_field(headers_.protocol);
  inet::store_sum(field, inet::fold(other_length(inet::load_sum(field), before, before - bytes)));
}

bool Segmenter::cut(SkbBatch& buffers, SkbBatch& to, SegmentSums sums) noexcept {
  const uint32_t all = segments();
  uint32_t index = 0;
  for (Skb* buffer; index < all && (buffer = buffers.pop_front()) != nullptr; ++index) {
    write(*buffer, index, index + 1 == all, sums);
    to.push_back(*buffer);
  }
  if (index == all) return true;
  if (index != 0) drop_front(index);
  return false;
}

}  // namespace usernic
