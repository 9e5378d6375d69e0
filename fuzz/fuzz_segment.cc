// SPDX-License-Identifier: Apache-2.0 OR MIT
// Superframes of any content, with any offload, for any number of buffers: what is cut is no longer than it may be, has
// right sums and the superframe's headers, counted on, and carries each octet of the payload once, in order; what is
// refused is refused whole.
#include <vector>

#include "core/frame/inet_headers.h"
#include "core/frame/inet_sum.h"
#include "core/frame/segment.h"
#include "fuzz/input.h"

namespace usernic::fuzz {
namespace {

using Octets = std::vector<uint8_t>;
constexpr uint32_t kBuffers = 64, kFrameMax = 1518, kSuperMax = 70'000;

// A superframe as it was, and what each of its segments must be.
class Whole {
 public:
  Whole(const Skb& super, const inet::Headers& headers)
      : headers_(headers),
        octets_(super.data(), super.data() + super.size()),
        extra_(super.offload().sum == FrameSum::kNeeded
                   ? inet::load16(&octets_[headers.transport] + inet::sum_field(headers.protocol))
                   : inet::wire(inet::fold(inet::pseudo_sum(octets_.data(), headers, headers.transport_bytes())))),
        size_(super.offload().gso_size) {}

  bool is_over() const { return at_ == octets_.size() - headers_.payload; }

  void look_at_next(const Skb& segment) {
    const auto left = static_cast<uint32_t>(octets_.size() - headers_.payload) - at_;
    const uint32_t bytes = std::min<uint32_t>(size_, left);
    must(segment.size() == headers_.payload + bytes, "a segment has another length");
    Octets octets(segment.data(), segment.data() + segment.size());
    const auto payload = octets_.begin() + headers_.payload + at_;
    must(std::equal(payload, payload + bytes, octets.begin() + headers_.payload), "the payload is another one");
    look_at_sums(octets);
    Octets head(octets_.begin(), octets_.begin() + headers_.payload);
    count_on(head, bytes, bytes == left);
    for (Octets* each : {&head, &octets}) forget_sums(*each);
    must(std::equal(head.begin(), head.end(), octets.begin()), "the headers are others");
    at_ += bytes;
    ++index_;
  }

 private:
  void count_on(Octets& head, uint32_t bytes, bool last) const {
    uint8_t* const network = &head[headers_.network];
    uint8_t* const transport = &head[headers_.transport];
    const uint32_t packet = headers_.payload - headers_.network + bytes;
    if (headers_.v6) {
      inet::store16(network + 4, packet - 40);
    } else {
      inet::store16(network + 2, packet);
      inet::store16(network + 4, inet::load16(network + 4) + index_);
    }
    if (headers_.protocol == inet::kUdp) {
      return inet::store16(transport + 4, headers_.payload - headers_.transport + bytes);
    }
    inet::store32(transport + 4, inet::load32(transport + 4) + at_);
    if (index_ != 0) transport[13] &= static_cast<uint8_t>(~inet::kCwr);
    if (!last) transport[13] &= static_cast<uint8_t>(~(inet::kPsh | inet::kFin));
  }
  // Of the packet with what the sender has summed up besides it, for another length.
  void look_at_sums(const Octets& segment) const {
    const uint32_t length = static_cast<uint32_t>(segment.size()) - headers_.transport;
    const uint32_t before = static_cast<uint32_t>(octets_.size()) - headers_.transport;
    uint64_t sum = uint64_t{extra_} + length + (0xffff - folded(before));
    must(folded(sum + sum_of(segment, headers_.transport, segment.size())) == 0xffff, "a packet's sum is wrong");
    if (headers_.v6) return;
    const size_t words = segment[headers_.network] & 0x0f;
    must(folded(sum_of(segment, headers_.network, headers_.network + 4 * words)) == 0xffff, "an IPv4 sum is wrong");
  }
  void forget_sums(Octets& octets) const {
    inet::store16(&octets[headers_.transport] + inet::sum_field(headers_.protocol), 0);
    if (!headers_.v6) inet::store16(&octets[headers_.network] + 10, 0);
  }
  static uint64_t sum_of(const Octets& octets, size_t from, size_t to) {
    uint64_t sum = 0;
    for (size_t n = from; n < to; ++n) sum += uint64_t{octets[n]} << ((n - from) % 2 == 0 ? 8 : 0);
    return sum;
  }
  static uint32_t folded(uint64_t sum) {
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint32_t>(sum);
  }

  const inet::Headers headers_;
  const Octets octets_;
  const uint16_t extra_;  // the sum of the pseudo header
  const uint16_t size_;
  uint32_t at_ = 0, index_ = 0;
};

// By so many buffers at a time.
void cut_all(Skb& super, SkbPool& small, SegmentSums sums, uint32_t buffers_a_time) {
  auto segmenter = Segmenter::of(super);
  if (!segmenter || segmenter->bytes_max() > kFrameMax) return;
  const auto headers = inet::find_headers(super.bytes(), inet::Length::kAll);
  must(headers.has_value(), "what is cut has headers");
  Whole expected(super, *headers);
  while (true) {
    SkbBatch buffers, segments;
    small.alloc(buffers, buffers_a_time);
    const bool whole = segmenter->cut(buffers, segments, sums);
    for (Skb* each = segments.front(); each != nullptr; each = SkbBatch::next(*each)) {
      if (sums == SegmentSums::kByDevice) must(complete_sum(*each), "a segment's sum has no place");
      const auto found = inet::find_headers(each->bytes(), inet::Length::kSaid);
      must(found && found->end == each->size() && found->payload == headers->payload, "a segment is no whole packet");
      expected.look_at_next(*each);
    }
    if (whole) break;
    segmenter.emplace(*Segmenter::of(super));
  }
  must(expected.is_over(), "a part is missing");
}

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  static SkbPool small(fuzz::kBuffers, fuzz::kFrameMax), large(1, fuzz::kSuperMax, &small);
  fuzz::Input input(data, size);
  const SegmentSums sums = input.below(2) == 0 ? SegmentSums::kBySegment : SegmentSums::kByDevice;
  const uint32_t buffers_a_time = 1 + input.below(fuzz::kBuffers);
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
    fuzz::cut_all(skb, small, sums, buffers_a_time);
  } else {
    (void)complete_sum(skb);
    fuzz::must(skb.size() == octets.size() + more, "a sum changes a length");
  }
  SkbPool::free(skb);
  fuzz::must(small.available() == fuzz::kBuffers && large.available() == 1, "a buffer is lost");
  return 0;
}
