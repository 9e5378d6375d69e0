// SPDX-License-Identifier: Apache-2.0 OR MIT
// Superframes of any content, with any offload, for any number of buffers: what is cut is no longer than it may be, has
// right sums and carries each octet of the payload once, in order; what is refused is refused whole.
#include <vector>

#include "core/frame/segment.h"
#include "fuzz/input.h"

namespace usernic::fuzz {
namespace {

using Octets = std::vector<uint8_t>;
constexpr uint32_t kBuffers = 64, kFrameMax = 1518, kSuperMax = 70'000;

void cut_all(Skb& super, SkbPool& small, Input& input) {
  const SegmentSums sums = input.below(2) == 0 ? SegmentSums::kBySegment : SegmentSums::kByDevice;
  auto segmenter = Segmenter::of(super);
  if (!segmenter || segmenter->bytes_max() > kFrameMax) return;
  const auto headers = inet::find_headers(super.bytes(), inet::Length::kAll);
  must(headers.has_value(), "what is cut has headers");
  Octets payload(super.data() + headers->payload, super.data() + super.size()), seen;
  while (true) {
    SkbBatch buffers, segments;
    small.alloc(buffers, 1 + input.below(kBuffers));
    const bool whole = segmenter->cut(buffers, segments, sums);
    for (Skb* each = segments.front(); each != nullptr; each = SkbBatch::next(*each)) {
      must(each->size() <= segmenter->bytes_max(), "a segment is too long");
      if (sums == SegmentSums::kByDevice) must(complete_sum(*each), "a segment's sum has no place");
      const auto found = inet::find_headers(each->bytes(), inet::Length::kSaid);
      must(found && found->end == each->size() && found->payload == headers->payload, "a segment is no whole packet");
      seen.insert(seen.end(), each->data() + found->payload, each->data() + each->size());
    }
    if (whole) break;
    segmenter.emplace(*Segmenter::of(super));
  }
  must(seen == payload, "the payload is another one");
}

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  static SkbPool small(fuzz::kBuffers, fuzz::kFrameMax), large(1, fuzz::kSuperMax, &small);
  fuzz::Input input(data, size);
  const Offload offload{.sum = static_cast<FrameSum>(input.below(3)),
                        .gso = static_cast<Gso>(input.below(4)),
                        .ecn = input.below(2) != 0,
                        .sum_offset = input.number<uint8_t>(),
                        .sum_start = input.number<uint16_t>(),
                        .gso_size = input.number<uint16_t>(),
                        .header_bytes = input.number<uint16_t>()};
  const uint32_t more = input.below(4) == 0 ? input.number<uint16_t>() : 0;
  const auto octets = input.take(2000);
  Skb& skb = *large.alloc();
  uint8_t* const frame = skb.put(static_cast<uint32_t>(octets.size()) + more);
  std::fill_n(std::copy(octets.begin(), octets.end(), frame), more, uint8_t{0x5a});
  skb.set_offload(offload);
  if (offload.superframe()) {
    fuzz::cut_all(skb, small, input);
  } else {
    (void)complete_sum(skb);
    fuzz::must(skb.size() == octets.size() + more, "a sum changes a length");
  }
  SkbPool::free(skb);
  fuzz::must(small.available() == fuzz::kBuffers && large.available() == 1, "a buffer is lost");
  return 0;
}
