// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/rx_ring.h"

#include <algorithm>

namespace usernic::simnic {

RxRing::RxRing(uint32_t size) : mask_(size - 1), descriptors_(new Descriptor[size]), skbs_(new Skb*[size]()) {}

bool RxRing::refill(SkbPool& pool) noexcept {
  const uint32_t missing = size() - (tail_ - next_);
  if (missing == 0) return false;
  SkbBatch buffers;
  pool.alloc(buffers, missing);
  if (buffers.empty()) return false;
  while (Skb* skb = buffers.pop_front()) {
    Descriptor& descriptor = descriptors_[tail_ & mask_];
    descriptor.address = reinterpret_cast<uintptr_t>(skb->data());
    descriptor.length = skb->tailroom();
    descriptor.status.store(0, std::memory_order_relaxed);  // the tail register publishes it
    skbs_[tail_++ & mask_] = skb;
  }
  return true;
}

int RxRing::receive(SkbBatch& frames, int budget) noexcept {
  int count = 0;
  for (; count < budget && next_ != tail_; ++next_, ++count) {
    const Descriptor& descriptor = descriptors_[next_ & mask_];
    if ((descriptor.status.load(std::memory_order_acquire) & kDescriptorDone) == 0) break;
    Skb* const skb = skbs_[next_ & mask_];
    const uint32_t length = descriptor.length;  // the card's word, and it may change its mind
    if (length > skb->tailroom()) [[unlikely]] {
      SkbPool::free(*skb);
      continue;
    }
    skb->put(length);
    skb->set_offload(descriptor.offload);
    if ((descriptor.status.load(std::memory_order_relaxed) & kDescriptorMore) != 0) receive_rest(*skb);
    frames.push_back(*skb);
  }
  return count;
}

// The rest of a frame that begins at `next_`, which its end becomes.
void RxRing::receive_rest(Skb& first) noexcept {
  Skb* last = nullptr;
  for (bool more = true; more && next_ + 1 != tail_;) {
    const Descriptor& descriptor = descriptors_[(next_ + 1) & mask_];
    const uint32_t status = descriptor.status.load(std::memory_order_acquire);
    if ((status & kDescriptorDone) == 0) return;  // the card's mistake: what there is of it
    Skb* const part = skbs_[++next_ & mask_];
    const uint32_t length = descriptor.length;
    part->put(std::min(length, part->tailroom()));
    first.chain(*part, last);
    last = part;
    more = (status & kDescriptorMore) != 0;
  }
}

void RxRing::drop_buffers() noexcept {
  SkbBatch buffers;
  for (; next_ != tail_; ++next_) buffers.push_back(*skbs_[next_ & mask_]);
  next_ = tail_ = 0;
}

}  // namespace usernic::simnic
