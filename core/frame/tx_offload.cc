// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/tx_offload.h"

#include <algorithm>

#include "core/frame/segment.h"

namespace usernic {
namespace {

bool takes(const Offload& offload, Features features) noexcept USERNIC_NONBLOCKING {
  if (offload.ecn && !features.has(Feature::kTsoEcn)) return false;
  switch (offload.gso) {
    case Gso::kTcp4:
      return features.has(Feature::kTso4);
    case Gso::kTcp6:
      return features.has(Feature::kTso6);
    case Gso::kUdp:
      return features.has(Feature::kUso);
    case Gso::kNone:
      break;
  }
  return false;
}

// Of a received frame, for who takes superframes of these kinds.
enum class Left : uint8_t { kNothing, kSum, kCut };
Left left_to_do(const Offload& offload, Features kinds) noexcept USERNIC_NONBLOCKING {
  if (offload.superframe()) return takes(offload, kinds) ? Left::kNothing : Left::kCut;
  return kinds.none() && offload.sum == FrameSum::kNeeded ? Left::kSum : Left::kNothing;
}

// As many buffers for segments as there are. False: none is so long. Tags that were put before a superframe on its way
// down take the room in front that they would take of a frame.
bool take_buffers(const Skb& super, const Segmenter& segmenter, SkbBatch& buffers) noexcept USERNIC_NONBLOCKING {
  SkbPool* const pool = SkbPool::segments_of(super);
  const uint32_t bytes = segmenter.bytes_max();
  if (pool == nullptr || kSkbHeadroom - kTagsBytesMax + bytes > pool->capacity()) return false;
  const uint32_t headroom = std::min(kSkbHeadroom, pool->capacity() - bytes);
  pool->alloc(buffers, segmenter.segments());
  if (headroom == kSkbHeadroom) [[likely]]
    return true;
  for (Skb* skb = buffers.front(); skb != nullptr; skb = SkbBatch::next(*skb)) skb->reset(headroom);
  return true;
}

constexpr DropReason kNotWhatItSays("it is not what its offload says");

// Why not; nothing: it is cut.
DropReason cut_received(Skb& super, SkbBatch& to) noexcept USERNIC_NONBLOCKING {
  auto segmenter = Segmenter::of(super);
  if (!segmenter) return kNotWhatItSays;
  SkbBatch buffers;
  const bool fits = take_buffers(super, *segmenter, buffers);
  const bool cut =
      fits && buffers.size() == segmenter->segments() && segmenter->cut(buffers, to, SegmentSums::kBySegment);
  return cut ? DropReason() : DropReason("there were no buffers to cut it into");
}

TxFit cut(Skb& super, SkbBatch& frames, SegmentSums sums, uint32_t frame_bytes_max) noexcept USERNIC_NONBLOCKING {
  auto segmenter = Segmenter::of(super);
  if (!segmenter) return TxFit::kBad;
  if (segmenter->bytes_max() > frame_bytes_max) return TxFit::kTooLong;
  SkbBatch buffers, segments;
  if (!take_buffers(super, *segmenter, buffers)) return TxFit::kNoRoom;
  const bool whole = segmenter->cut(buffers, segments, sums);
  const bool some = !segments.empty();
  whole ? SkbPool::free(super) : frames.push_front(super);
  frames.splice_front(segments);
  return some ? TxFit::kCut : TxFit::kWaits;
}

}  // namespace

TxFit fit_to_device(Skb& skb, SkbBatch& frames, Features features, uint32_t frame_bytes_max) noexcept {
  if (skb.chain() != nullptr) return TxFit::kChained;
  const bool sums = features.has(Feature::kTxSum);
  if (!skb.offload().superframe()) {
    const bool ready = sums || skb.offload().sum != FrameSum::kNeeded || complete_sum(skb);
    return ready ? TxFit::kReady : TxFit::kBad;
  }
  if (!takes(skb.offload(), features)) {
    return cut(skb, frames, sums ? SegmentSums::kByDevice : SegmentSums::kBySegment, frame_bytes_max);
  }
  // Its driver counts on what is said of it.
  const auto segmenter = Segmenter::of(skb);
  if (!segmenter) return TxFit::kBad;
  return segmenter->bytes_max() > frame_bytes_max ? TxFit::kTooLong : TxFit::kReady;
}

WireSize wire_size(const Skb& skb) noexcept {
  if (!skb.offload().superframe()) [[likely]]
    return {.bytes = skb.size()};
  const uint32_t size = skb.total_size();
  const uint32_t frames = segments_of(skb.offload(), size);
  return {.frames = frames, .bytes = size + (frames - 1) * skb.offload().header_bytes};
}

WireSize wire_of(SkbBatch& frames) noexcept {
  WireSize all{.frames = 0};
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    const WireSize one = wire_size(*skb);
    all.frames += one.frames;
    all.bytes += one.bytes;
  }
  return all;
}

uint32_t fit_to_port(SkbBatch& frames, Features kinds, Taps& taps) noexcept {
  Skb* first = frames.front();
  while (first != nullptr && left_to_do(first->offload(), kinds) == Left::kNothing) first = SkbBatch::next(*first);
  if (first == nullptr) [[likely]]
    return 0;
  uint32_t dropped = 0;
  SkbBatch all(std::move(frames));
  while (Skb* const skb = all.pop_front()) {
    const Left left = left_to_do(skb->offload(), kinds);
    DropReason why;
    if (left == Left::kCut) {
      why = cut_received(*skb, frames);
    } else if (left == Left::kSum && !complete_sum(*skb)) {
      why = kNotWhatItSays;
    }
    const bool done = why.text() == nullptr;
    if (!done) {
      dropped += wire_size(*skb).frames;
      taps.dropped(*skb, FrameWay::kIn, why);
    }
    if (done && left != Left::kCut) {
      frames.push_back(*skb);
    } else {
      SkbPool::free(*skb);
    }
  }
  return dropped;
}

}  // namespace usernic
