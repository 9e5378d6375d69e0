// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/tx_ring.h"

namespace usernic::simnic {

TxRing::TxRing(uint32_t size) : mask_(size - 1), descriptors_(new Descriptor[size]), skbs_(new Skb*[size]()) {}

TxRing::~TxRing() {
  SkbBatch frames;
  take_unsent(frames);
}

void TxRing::put(Skb& skb) noexcept {
  const uint32_t tail = tail_.load(std::memory_order_relaxed);
  Descriptor& descriptor = descriptors_[tail & mask_];
  descriptor.address = reinterpret_cast<uintptr_t>(skb.data());
  descriptor.length = skb.size();
  descriptor.offload = skb.offload();
  descriptor.status.store(0, std::memory_order_relaxed);
  skbs_[tail & mask_] = &skb;
  tail_.store(tail + 1);
}

TxRing::Reclaimed TxRing::reclaim() noexcept {
  Reclaimed sum;
  SkbBatch done;
  uint32_t clean = clean_.load(std::memory_order_relaxed);
  for (const uint32_t tail = tail_.load(); clean != tail; ++clean) {
    if ((descriptors_[clean & mask_].status.load(std::memory_order_acquire) & kDescriptorDone) == 0) break;
    sum.bytes += skbs_[clean & mask_]->size();
    done.push_back(*skbs_[clean & mask_]);
  }
  clean_.store(clean);
  sum.frames = done.size();
  return sum;
}

void TxRing::take_unsent(SkbBatch& frames) noexcept {
  uint32_t clean = clean_.load();
  for (const uint32_t tail = tail_.load(); clean != tail; ++clean) frames.push_back(*skbs_[clean & mask_]);
  clean_.store(clean);
}

}  // namespace usernic::simnic
