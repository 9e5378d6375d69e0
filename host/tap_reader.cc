// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap_reader.h"

#include <algorithm>

#include "bus/netif/vnet_header.h"

namespace usernic {

void TapReader::free_spare() {
  SkbPool::free(spare_);
  SkbPool::free(spare_superframes_);
}

bool TapReader::read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) {
  pools.frames.alloc(spare_, kBatch - spare_.size());
  bool buffers = false;
  for (uint32_t bytes = 0; bytes < kBatchBytes;) {
    const std::span<Read> turn = begin_turn(pools, frame_bytes_max);
    if (turn.empty()) break;
    buffers = true;
    carry_out(turn);
    uint32_t turn_bytes = 0;
    const uint32_t came = end_turn(turn, frame_bytes_max, frames, turn_bytes);
    next_turn(static_cast<uint32_t>(turn.size()), came, turn_bytes);
    if (came < turn.size()) break;
    bytes += turn_bytes;
  }
  return buffers;
}

// As many reads as there are buffers for.
std::span<TapReader::Read> TapReader::begin_turn(FramePools& pools, uint32_t frame_bytes_max) {
  const uint32_t wanted = std::min(turn_, spare_.size());
  if (spare_superframes_.size() < wanted) {
    pools.superframes.alloc(spare_superframes_, wanted - spare_superframes_.size());
  }
  const std::span<Read> turn = std::span(reads_).first(std::min(wanted, spare_superframes_.size()));
  for (Read& each : turn) {
    each.first = spare_.pop_front();
    each.super = spare_superframes_.pop_front();
    each.parts[0] = {&each.header, sizeof each.header};
    each.parts[1] = {each.first->data(), frame_bytes_max};
    each.parts[2] = {each.super->data() + frame_bytes_max, each.super->tailroom() - frame_bytes_max};
  }
  return turn;
}

void TapReader::carry_out(std::span<Read> turn) noexcept {
  if (turn.size() == 1) {
    turn[0].bytes = tap_.read(turn[0].parts);
    return;
  }
  for (const Read& each : turn) ring_->add_read(tap_.fd(), each.parts);
  const std::span<const int32_t> results = ring_->submit();
  for (size_t n = 0; n < turn.size(); ++n) {
    turn[n].bytes = TapQueue::read_result(results[n] < 0 ? -EAGAIN : results[n]);  // what it is, a plain read says
  }
}

// What came joins `frames`, what did not is at hand again. Returns how many reads brought something, and adds how much.
uint32_t TapReader::end_turn(std::span<Read> turn, uint32_t frame_bytes_max, SkbBatch& frames, uint32_t& bytes) {
  uint32_t came = 0;
  for (Read& each : turn) {
    if (each.bytes) {
      ++came;
      bytes += static_cast<uint32_t>(*each.bytes);
      if (!take(each, frame_bytes_max, frames)) oversized_.fetch_add(1);
    } else if (each.bytes.error() != std::errc::resource_unavailable_try_again) {
      gone_ = true;
    }
  }
  for (size_t n = turn.size(); n-- > 0;) {
    if (turn[n].first != nullptr) spare_.push_front(*turn[n].first);
    if (turn[n].super != nullptr) spare_superframes_.push_front(*turn[n].super);
  }
  return came;
}

// False when it is too long for the device, or nothing that anybody knows.
bool TapReader::take(Read& read, uint32_t frame_bytes_max, SkbBatch& frames) {
  const auto bytes = static_cast<uint32_t>(*read.bytes);
  const auto start = std::span<const uint8_t>(read.first->data(), std::min(bytes, frame_bytes_max));
  const std::optional<Offload> offload = offload_of(read.header, start);
  if (!offload) return false;
  const bool super = offload->superframe();
  if ((super ? offload->header_bytes + offload->gso_size : bytes) > frame_bytes_max) return false;
  Skb* const skb = std::exchange(super ? read.super : read.first, nullptr);
  uint8_t* const at = skb->put(bytes);
  if (super) std::ranges::copy(start, at);
  skb->set_offload(*offload);
  frames.push_back(*skb);
  return true;
}

void TapReader::make_ring() noexcept {
  const Result<> works = TapRing::works_here();
  auto ring = works ? TapRing::create(TapRing::Submitter::kCreator) : std::unexpected(works.error());
  if (!ring) return io_.refused(ring.error());
  ring_ = *std::move(ring);
  io_.by_ring();
}

void TapReader::next_turn(uint32_t reads, uint32_t came, uint32_t bytes) noexcept {
  if (came < reads) {
    turn_ = std::max(came, 1u);
    return;
  }
  turn_ = std::clamp(kBatchBytes / std::max(bytes / reads, 1u), 1u, std::min(2 * reads, kTurn));
  if (turn_ == 1) return;
  if (ring_ != nullptr && ring_->broken()) {
    ring_.reset();
    may_ring_ = false;
    io_.refused(std::errc::operation_canceled);
  }
  if (ring_ == nullptr && std::exchange(may_ring_, false)) make_ring();
  if (ring_ == nullptr) turn_ = 1;
}

}  // namespace usernic
