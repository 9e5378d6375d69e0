// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap_reader.h"

#include <algorithm>
#include <cerrno>
#include <optional>

namespace usernic {

bool TapReader::read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) {
  buffers_.fill_frames(pools.frames, kBatch);
  bool buffers = false;
  for (uint32_t bytes = 0; bytes < kBatchBytes;) {
    const std::span<Read> turn = begin_turn(pools, frame_bytes_max);
    if (turn.empty()) break;
    buffers = true;
    carry_out(turn);
    uint32_t turn_bytes = 0;
    const uint32_t came = end_turn(turn, frame_bytes_max, frames, turn_bytes);
    next_turn(static_cast<uint32_t>(turn.size()), came, turn_bytes, bytes != 0);
    if (came < turn.size()) break;
    bytes += turn_bytes;
  }
  return buffers;
}

// As many reads as there are buffers for.
std::span<TapReader::Read> TapReader::begin_turn(FramePools& pools, uint32_t frame_bytes_max) {
  const std::span<Read> turn = std::span(reads_).first(buffers_.fill_superframes(pools.superframes, turn_));
  for (Read& each : turn) buffers_.lend(each, frame_bytes_max);
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
  for (size_t n = turn.size(); n-- > 0;) buffers_.take_back(turn[n]);
  return came;
}

// False when it is too long for the device, or nothing that anybody knows.
bool TapReader::take(Read& read, uint32_t frame_bytes_max, SkbBatch& frames) {
  const auto bytes = static_cast<uint32_t>(*read.bytes);
  const std::optional<Offload> offload = read.offload(bytes);
  if (!offload || frame_bytes(bytes, *offload) > frame_bytes_max) return false;
  frames.push_back(read.take(bytes, *offload));
  return true;
}

void TapReader::make_ring() noexcept {
  const Result<> works = TapRing::works_here();
  auto ring = works ? TapRing::create(TapRing::Submitter::kCreator) : std::unexpected(works.error());
  if (!ring) return io_.refused(ring.error());
  ring_ = *std::move(ring);
  io_.by_ring();
}

void TapReader::next_turn(uint32_t reads, uint32_t came, uint32_t bytes, bool others_came) noexcept {
  if (came < reads) {
    turn_ = std::max(came, 1u);
    return;
  }
  if (reads == 1 && !others_came) return;  // a lone frame is followed by nothing
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
