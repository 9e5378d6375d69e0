// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/segment.h"

#include <algorithm>
#include <cstring>

#include "core/frame/inet_headers.h"
#include "core/frame/inet_sum.h"

namespace usernic {
namespace {

// The octets of a frame with its chain, from an offset on.
class Reader {
 public:
  Reader(const Skb& skb, uint32_t from) noexcept USERNIC_NONBLOCKING : rest_(skb.bytes()), next_(skb.chain()) {
    while (from >= rest_.size() && next_ != nullptr) from -= static_cast<uint32_t>(rest_.size()), step();
    rest_ = rest_.subspan(std::min<size_t>(from, rest_.size()));
  }
  void copy(uint8_t* to, uint32_t bytes) noexcept USERNIC_NONBLOCKING {
    while (true) {
      const size_t here = std::min<size_t>(bytes, rest_.size());
      std::memcpy(to, rest_.data(), here);
      rest_ = rest_.subspan(here);
      to += here, bytes -= static_cast<uint32_t>(here);
      if (bytes == 0 || next_ == nullptr) return;
      step();
    }
  }

 private:
  void step() noexcept USERNIC_NONBLOCKING {
    rest_ = next_->bytes();
    next_ = Skb::chain_next(*next_);
  }
  std::span<const uint8_t> rest_;
  const Skb* next_;
};

}  // namespace

bool complete_sum(Skb& skb) noexcept {
  if (!complete_sum({skb.data(), skb.size()}, skb.offload())) return false;
  skb.set_offload({});
  return true;
}

std::optional<Segmenter> Segmenter::of(Skb& super) noexcept {
  const auto segments = Segments::of(super.bytes(), super.total_size(), super.offload());
  if (!segments) return {};
  // The kernel does not sum up the pseudo header where it does not need it.
  const Offload exact = segments->offload();
  if (super.offload().sum != FrameSum::kNeeded)
    inet::store_sum(super.data() + exact.sum_start + exact.sum_offset, segments->pseudo_sum_);
  super.set_offload(exact);
  return Segmenter(super, *segments);
}

// What was cut off makes room for the headers of what is left, which is a segment longer than the others.
void Segmenter::drop_front(uint32_t segments) noexcept {
  const Offload offload = super_.offload();
  const uint32_t bytes = segments * offload.gso_size;
  const Segments::Payload left{.from = segments_.header_bytes() + bytes, .bytes = segments_.payload_bytes() - bytes};
  segments_.write_headers(super_.data() + bytes, left, SegmentSums::kByDevice);
  super_.pull(bytes);
  super_.set_offload(offload);
  segments_ = *Segments::of(super_.bytes(), super_.size(), offload);
}

bool Segmenter::cut(SkbBatch& buffers, SkbBatch& to, SegmentSums sums) noexcept {
  const uint32_t all = segments();
  if (super_.chain() != nullptr && buffers.size() < all) return false;
  Reader payload(super_, segments_.header_bytes());
  uint32_t index = 0;
  for (Skb* buffer; index < all && (buffer = buffers.pop_front()) != nullptr; ++index) {
    const uint32_t bytes = segments_.payload(index).bytes;
    uint8_t* const frame = buffer->put(segments_.header_bytes() + bytes);
    payload.copy(frame + segments_.header_bytes(), bytes);
    segments_.write_headers(frame, index, sums);
    buffer->set_offload(segments_.segment_offload(sums));
    to.push_back(*buffer);
  }
  if (index == all) return true;
  if (index != 0) drop_front(index);
  return false;
}

}  // namespace usernic
