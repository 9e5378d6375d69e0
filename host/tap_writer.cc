// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap_writer.h"

#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "bus/netif/vnet_header.h"

namespace usernic {

namespace {

// A whole frame behind its header, which takes the octets before it; empty: it is not whole, or has no room before it.
std::span<const uint8_t> in_one_piece(Skb& skb) noexcept {
  if (skb.chain() != nullptr || skb.headroom() < sizeof(VnetHeader)) return {};
  const VnetHeader header = vnet_header(skb);
  uint8_t* const at = skb.data() - sizeof header;
  std::memcpy(at, &header, sizeof header);
  return {at, sizeof header + skb.size()};
}

}  // namespace

uint64_t TapWriter::write(SkbBatch& frames) noexcept {
  uint64_t dropped = 0;
  Skb* next = frames.front();
  if (frames.size() >= kWorthARing) {
    if (Shared* const shared = shared_.load(); shared == nullptr) {
      if (!asked_.exchange(true)) wants_ring_.kick();
    } else if (!busy_.exchange(true)) {
      while (next != nullptr && !shared->ring->broken()) next = write_turn(*shared, *next, dropped);
      if (shared->ring->broken()) io_.refused(std::errc::operation_canceled);
      busy_.store(false);
    }
  }
  for (; next != nullptr; next = SkbBatch::next(*next)) {
    if (!write_one(*next)) dropped += drop(*next);
  }
  return dropped;
}

uint64_t TapWriter::drop(const Skb& skb) const noexcept {
  if (of_ != nullptr) note_drop(*of_, skb, FrameWay::kIn, "the kernel does not take it");
  return segments_of(skb.offload(), skb.total_size());
}

bool TapWriter::write_one(const Skb& skb) noexcept {
  VnetHeader header;
  std::array<iovec, kFramePartsMax> room;
  const std::optional<size_t> parts = parts_of(skb, header, room);
  return parts && tap_.write(std::span(room).first(*parts));
}

// As many as the ring and the parts have room for; returns the first one of the next turn.
Skb* TapWriter::write_turn(Shared& shared, Skb& first, uint64_t& dropped) noexcept {
  uint32_t frames = 0;
  size_t parts = 0;
  Skb* next = &first;
  for (; next != nullptr && frames < TapRing::kDepth && shared.parts.size() - parts >= kFramePartsMax;
       next = SkbBatch::next(*next)) {
    if (const std::span<const uint8_t> whole = in_one_piece(*next); !whole.empty()) {
      shared.ring->add_write(tap_.fd(), whole);
    } else {
      const std::span<iovec> room = std::span(shared.parts).subspan(parts, kFramePartsMax);
      const std::optional<size_t> used = parts_of(*next, shared.headers[frames], room);
      if (!used) {
        dropped += drop(*next);
        continue;
      }
      parts += *used;
      shared.ring->add_write(tap_.fd(), room.first(*used));
    }
    shared.frames[frames++] = next;
  }
  const std::span<const int32_t> results = shared.ring->submit();
  for (uint32_t n = 0; n < frames; ++n) {
    if (results[n] < 0 && !write_one(*shared.frames[n])) dropped += drop(*shared.frames[n]);
  }
  return next;
}

void TapWriter::make_ring() {
  if (!asked_.load() || std::exchange(tried_, true)) return;
  if (const Result<> works = TapRing::works_here(); !works) return io_.refused(works.error());
  std::unique_ptr<Shared> made(new (std::nothrow) Shared);
  if (made == nullptr) return io_.refused(std::errc::not_enough_memory);
  auto ring = TapRing::create(TapRing::Submitter::kAnybody);
  if (!ring) return io_.refused(ring.error());
  made->ring = *std::move(ring);
  owned_ = std::move(made);
  shared_.store(owned_.get());
  io_.by_ring();
}

}  // namespace usernic
