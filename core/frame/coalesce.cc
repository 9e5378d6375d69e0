// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/coalesce.h"

#include <cstring>

#include "core/frame/inet_sum.h"

namespace usernic {

using inet::Headers;

namespace {

constexpr uint8_t kNeverMerged = inet::kSyn | inet::kRst | inet::kUrg;
constexpr uint8_t kLastOnly = inet::kPsh | inet::kFin;

bool same(const uint8_t* a, const uint8_t* b, size_t size) noexcept USERNIC_NONBLOCKING {
  return std::memcmp(a, b, size) == 0;
}

// Is it of the flow that the other is of? Both have such headers.
bool same_flow(const uint8_t* a, const uint8_t* b, const Headers& of_a, const Headers& of_b) noexcept
    USERNIC_NONBLOCKING {
  if (of_a.v6 != of_b.v6 || of_a.protocol != of_b.protocol || of_a.network != of_b.network) return false;
  const uint32_t addresses = of_a.network + (of_a.v6 ? 8u : 12u);
  return same(a + of_a.transport, b + of_b.transport, 4) && same(a + addresses, b + addresses, of_a.v6 ? 32 : 8) &&
         same(a, b, of_a.network);
}

// Headers that differ in nothing but what differs from segment to segment: lengths, sums, ids and sequence numbers.
bool same_headers(const uint8_t* a, const uint8_t* b, const Headers& headers) noexcept USERNIC_NONBLOCKING {
  const uint32_t ip = headers.network, packet = headers.transport;
  if (headers.v6) {
    if (!same(a + ip, b + ip, 4) || !same(a + ip + 6, b + ip + 6, packet - ip - 6)) return false;
  } else {
    const bool equal =
        same(a + ip, b + ip, 2) && same(a + ip + 6, b + ip + 6, 4) && same(a + ip + 12, b + ip + 12, packet - ip - 12);
    if (!equal) return false;
  }
  if (headers.protocol == inet::kUdp) return true;
  // Acknowledgement and the length of the header; not the flags; the window; the urgent pointer and the options.
  return same(a + packet + 8, b + packet + 8, 5) && same(a + packet + 14, b + packet + 14, 2) &&
         same(a + packet + 18, b + packet + 18, headers.payload - packet - 18);
}

uint8_t flags_of(const uint8_t* frame, const Headers& headers) noexcept USERNIC_NONBLOCKING {
  return headers.protocol == inet::kTcp ? frame[headers.transport + 13] : 0;
}

// A sum that is needed is right once it is written.
bool verified(Skb& skb, const Headers& headers) noexcept USERNIC_NONBLOCKING {
  const Offload& offload = skb.offload();
  if (offload.sum == FrameSum::kVerified) return true;
  if (offload.sum == FrameSum::kNeeded)
    return offload.sum_start == headers.transport && offload.sum_offset == inet::sum_field(headers.protocol);
  if (!inet::sums_are_right(skb.bytes(), headers)) return false;
  skb.set_offload({.sum = FrameSum::kVerified});
  return true;
}

}  // namespace

void Coalescer::merge(SkbBatch& frames) noexcept {
  SkbBatch all(std::move(frames));
  while (Skb* const skb = all.pop_front()) add(*skb, frames);
  for (Flow& flow : flows_) finish(flow);
}

void Coalescer::add(Skb& skb, SkbBatch& to) noexcept {
  if (skb.offload().superframe() || skb.chain() != nullptr) {
    for (Flow& flow : flows_) finish(flow);  // whose it is nobody looks at
    return to.push_back(skb);
  }
  const auto headers = inet::find_headers(skb.bytes(), inet::Length::kSaid);
  if (!headers) return to.push_back(skb);
  Flow* flow = find(skb, *headers);
  const bool is_taken = takes(skb, *headers);
  if (flow != nullptr && is_taken && goes_on(*flow, skb, *headers)) {
    flow->verified = flow->verified || verified(*flow->first, flow->headers);
    if (flow->verified && verified(skb, *headers)) return append(*flow, skb, *headers);
  }
  // Whatever comes of the flow from here on is behind this frame.
  if (flow != nullptr) finish(*flow);
  to.push_back(skb);
  if (!is_taken || !begins(skb, *headers)) return;
  if (flow == nullptr) {
    flow = &flows_[next_++ % kFlows];
    finish(*flow);
  }
  *flow = {.first = &skb,
           .headers = *headers,
           .size = headers->payload_bytes(),
           .payload = headers->payload_bytes(),
           .last_flags = flags_of(skb.data(), *headers)};
}

bool Coalescer::takes(const Skb& skb, const Headers& headers) const noexcept {
  if (headers.protocol == inet::kUdp) {
    return kinds_.has(Feature::kUso) && inet::load_sum(skb.data() + headers.transport + 6) != 0;
  }
  return kinds_.has(headers.v6 ? Feature::kTso6 : Feature::kTso4);
}

// May something be merged into it?
bool Coalescer::begins(const Skb& skb, const Headers& headers) const noexcept {
  if (headers.payload_bytes() == 0 || skb.size() != headers.end) return false;
  if (headers.protocol == inet::kUdp) return true;
  const uint8_t flags = flags_of(skb.data(), headers);
  return (flags & (kNeverMerged | kLastOnly)) == 0 && (flags & inet::kAck) != 0 &&
         ((flags & inet::kCwr) == 0 || kinds_.has(Feature::kTsoEcn));
}

Coalescer::Flow* Coalescer::find(const Skb& skb, const Headers& headers) noexcept {
  for (Flow& flow : flows_) {
    if (flow.first != nullptr && same_flow(flow.first->data(), skb.data(), flow.headers, headers)) return &flow;
  }
  return nullptr;
}

bool Coalescer::goes_on(const Flow& flow, const Skb& skb, const Headers& headers) const noexcept {
  const uint8_t* const first = flow.first->data();
  const uint8_t* const next = skb.data();
  const uint32_t bytes = headers.payload_bytes();
  const uint32_t packet = flow.headers.payload - flow.headers.network + flow.payload + bytes;
  const bool room = flow.parts < kPartsMax && packet <= kPacketMax;
  if (!room || bytes == 0 || bytes > flow.size || flow.payload != flow.parts * flow.size) return false;
  if (headers.transport != flow.headers.transport || headers.payload != flow.headers.payload) return false;
  if (!same_headers(first, next, headers)) return false;
  if (!headers.v6) {
    const uint32_t id = headers.network + 4u;
    if (inet::load16(next + id) != static_cast<uint16_t>(inet::load16(first + id) + flow.parts)) return false;
  }
  if (headers.protocol == inet::kUdp) return true;
  const uint32_t sequence = headers.transport + 4u;
  if (inet::load32(next + sequence) != inet::load32(first + sequence) + flow.payload) return false;
  const uint8_t flags = flags_of(next, headers);
  const auto besides_first = static_cast<uint8_t>(first[headers.transport + 13] & ~inet::kCwr);
  return (flow.last_flags & kLastOnly) == 0 && (flags & ~kLastOnly) == besides_first;
}

void Coalescer::append(Flow& flow, Skb& skb, const Headers& headers) noexcept {
  flow.last_flags = flags_of(skb.data(), headers);
  flow.payload += headers.payload_bytes();
  ++flow.parts;
  skb.trim(headers.end);
  skb.pull(headers.payload);
  flow.first->chain(skb, flow.last);
  flow.last = &skb;
}

// Makes the first frame's headers those of all.
void Coalescer::finish(Flow& flow) noexcept {
  Skb* const first = std::exchange(flow.first, nullptr);
  if (first == nullptr || flow.last == nullptr) return;
  const Headers& headers = flow.headers;
  uint8_t* const frame = first->data();
  const uint32_t length = headers.payload - headers.transport + flow.payload;
  inet::set_length(frame, headers, length);
  const bool tcp = headers.protocol == inet::kTcp;
  const bool ecn = (flags_of(frame, headers) & inet::kCwr) != 0;
  if (tcp) frame[headers.transport + 13] |= flow.last_flags & kLastOnly;
  inet::store_sum(frame + headers.transport + inet::sum_field(headers.protocol),
                  inet::fold(inet::pseudo_sum(frame, headers, length)));
  first->set_offload({.sum = FrameSum::kNeeded,
                      .gso = !tcp         ? Gso::kUdp
                             : headers.v6 ? Gso::kTcp6
                                          : Gso::kTcp4,
                      .ecn = ecn,
                      .sum_offset = inet::sum_field(headers.protocol),
                      .sum_start = headers.transport,
                      .gso_size = static_cast<uint16_t>(flow.size),
                      .header_bytes = headers.payload});
}

}  // namespace usernic
