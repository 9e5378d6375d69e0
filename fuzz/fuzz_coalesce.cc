// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames of any content that come together: merging loses no octet and no buffer, and what was merged gives, cut again,
// the frames that came, those of a flow in their order. Frames are made to be likely neighbours: each is the one
// before, with some octets, its length or its flags changed, and its sums put right.
#include <map>
#include <utility>
#include <vector>

#include "core/frame/coalesce.h"
#include "core/frame/inet_sum.h"
#include "core/frame/segment.h"
#include "fuzz/input.h"

namespace usernic::fuzz {
namespace {

using Octets = std::vector<uint8_t>;
constexpr uint32_t kFrames = 8, kFrameMax = 1518;

void put_sums_right(Octets& frame) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  if (!headers) return;
  if (!headers->v6) inet::set_ip_sum(frame.data(), *headers);
  uint8_t* const packet = frame.data() + headers->transport;
  uint8_t* const field = packet + inet::sum_field(headers->protocol);
  inet::store_sum(field, 0);
  const uint64_t sum = inet::pseudo_sum(frame.data(), *headers, headers->transport_bytes()) +
                       inet::sum_of({packet, headers->transport_bytes()});
  const auto folded = static_cast<uint16_t>(~inet::fold(sum));
  inet::store_sum(field, folded == 0 && headers->protocol == inet::kUdp ? 0xffff : folded);
}

// As a datagram of IPv4 may be.
void leave_sum_out(Octets& frame) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  if (headers && headers->protocol == inet::kUdp) {
    inet::store_sum(&frame[headers->transport + inet::sum_field(inet::kUdp)], 0);
  }
}

// Something of it is another: any octet, or what no octet alone can change, or chance hardly ever would.
void change(Octets& frame, Input& input) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  const uint32_t what = headers ? input.below(6) : 0;
  if (what == 1) {  // the payload's length
    frame.resize(std::min<size_t>(headers->payload + input.number<uint8_t>(), kFrameMax));
    inet::set_length(frame.data(), *headers, static_cast<uint32_t>(frame.size()) - headers->transport);
  } else if (what == 2) {  // padding
    frame.resize(std::min<size_t>(headers->end + input.below(32), kFrameMax));
  } else if (what == 3 && headers->protocol == inet::kTcp) {
    frame[headers->transport + 13u] = inet::kAck | input.number<uint8_t>();
  } else {
    frame[input.number<uint16_t>() % frame.size()] = input.number<uint8_t>();
  }
}

// The frame before, one segment further.
void count_on(Octets& frame) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  if (!headers) return;
  if (!headers->v6) {
    uint8_t* const id = &frame[headers->network + 4u];
    inet::store16(id, inet::load16(id) + 1u);
  }
  if (headers->protocol != inet::kTcp) return;
  uint8_t* const sequence = &frame[headers->transport + 4u];
  inet::store32(sequence, inet::load32(sequence) + headers->payload_bytes());
}

// A frame without its padding, as a merged one has it.
Octets without_padding(Octets frame) {
  if (const auto headers = inet::find_headers(frame, inet::Length::kSaid); headers) frame.resize(headers->end);
  return frame;
}

// What the frames of a flow have in common; of one that is of none, all of it.
Octets flow_of(const Octets& frame) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  if (!headers) return frame;
  Octets flow(frame.begin(), frame.begin() + headers->network);
  const auto add = [&](uint32_t at, uint32_t size) { flow.insert(flow.end(), &frame[at], &frame[at] + size); };
  add(headers->network + (headers->v6 ? 8u : 12u), headers->v6 ? 32 : 8);
  add(headers->transport, 4);
  flow.push_back(headers->protocol);
  return flow;
}

// By flow, in their order; padding is gone where frames were merged.
std::multimap<Octets, Octets> by_flow(const std::vector<Octets>& frames) {
  std::multimap<Octets, Octets> all;
  for (const Octets& each : frames) {
    Octets frame = without_padding(each);
    Octets flow = flow_of(frame);
    all.emplace(std::move(flow), std::move(frame));
  }
  return all;
}

void expect_again(Skb& merged, SkbPool& large, SkbPool& small, std::vector<Octets>& frames) {
  if (merged.chain() == nullptr) return frames.emplace_back(merged.bytes().begin(), merged.bytes().end()), void();
  Skb& flat = *large.alloc();
  std::ranges::copy(merged.bytes(), flat.put(merged.size()));
  for (const Skb* part = merged.chain(); part != nullptr; part = Skb::chain_next(*part)) {
    std::ranges::copy(part->bytes(), flat.put(part->size()));
  }
  flat.set_offload(merged.offload());
  auto segmenter = Segmenter::of(flat);
  must(segmenter.has_value(), "what was merged cannot be cut");
  SkbBatch buffers, segments;
  small.alloc(buffers, segmenter->segments());
  must(segmenter->cut(buffers, segments, SegmentSums::kBySegment), "what was merged is more than it was");
  for (Skb* each = segments.front(); each != nullptr; each = SkbBatch::next(*each)) {
    frames.emplace_back(each->bytes().begin(), each->bytes().end());
  }
  SkbPool::free(flat);
}

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  using fuzz::Octets;
  static SkbPool small(2 * fuzz::kFrames, fuzz::kFrameMax), large(1, 70'000, &small);
  fuzz::Input input(data, size);
  const uint32_t count = 2 + input.below(fuzz::kFrames - 1);
  const auto first = input.take(20 + input.number<uint8_t>() + input.number<uint8_t>());
  Octets frame(first.begin(), first.end());
  frame.resize(std::min<size_t>(std::max<size_t>(frame.size(), 14), fuzz::kFrameMax));
  std::vector<Octets> came, again;
  SkbBatch batch;
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t changes = input.below(3); i != 0 && changes > 0; --changes) {
      fuzz::change(frame, input);
    }
    if (input.below(8) != 7) fuzz::put_sums_right(frame);
    if (input.below(8) == 7) fuzz::leave_sum_out(frame);
    came.push_back(frame);
    Skb& skb = *small.alloc();
    std::ranges::copy(frame, skb.put(static_cast<uint32_t>(frame.size())));
    batch.push_back(skb);
    if (input.below(8) != 7) fuzz::count_on(frame);
  }
  Coalescer(kSegmentation).merge(batch);
  for (Skb* each = batch.front(); each != nullptr; each = SkbBatch::next(*each)) {
    fuzz::expect_again(*each, large, small, again);
  }
  SkbPool::free(batch);
  fuzz::must(small.available() == 2 * fuzz::kFrames && large.available() == 1, "a buffer is lost");
  fuzz::must(fuzz::by_flow(came) == fuzz::by_flow(again),
             "other frames come out than went in, or a flow in another order");
  return 0;
}
