// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb.h"

namespace usernic {
namespace {
constexpr LockClass kPoolClass{"skb_pool", LockUse::kAnyContext};
constexpr uint32_t kCacheLine = 64;
}  // namespace

SkbBatch::~SkbBatch() noexcept {
  SkbPool::free(*this);
}

void SkbBatch::push_back(Skb& skb) noexcept {
  skb.next_ = nullptr;
  (first_ == nullptr ? first_ : last_->next_) = &skb;
  last_ = &skb;
  ++size_;
}

void SkbBatch::push_front(Skb& skb) noexcept {
  skb.next_ = first_;
  if (first_ == nullptr) last_ = &skb;
  first_ = &skb;
  ++size_;
}

Skb* SkbBatch::pop_front() noexcept {
  Skb* const skb = first_;
  if (skb == nullptr) return nullptr;
  first_ = skb->next_;
  if (first_ == nullptr) last_ = nullptr;
  skb->next_ = nullptr;
  --size_;
  return skb;
}

void SkbBatch::splice(SkbBatch& other) noexcept {
  if (other.first_ == nullptr) return;
  (first_ == nullptr ? first_ : last_->next_) = other.first_;
  last_ = other.last_;
  size_ += other.size_;
  other.first_ = other.last_ = nullptr;
  other.size_ = 0;
}

SkbPool::SkbPool(uint32_t count, uint32_t frame_bytes_max) : count_(count), lock_(kPoolClass) {
  const uint32_t stride = (kSkbHeadroom + frame_bytes_max + kCacheLine - 1) / kCacheLine * kCacheLine;
  memory_ = std::make_unique_for_overwrite<uint8_t[]>(size_t{stride} * count);  // takes memory when used
  skbs_ = std::make_unique<Skb[]>(count);
  for (uint32_t i = count; i-- > 0;) {
    Skb& skb = skbs_[i];
    skb.head_ = &memory_[size_t{stride} * i];
    skb.capacity_ = stride;
    skb.pool_ = this;
    skb.next_ = free_;
    free_ = &skb;
  }
  available_ = count;
}

SkbPool::~SkbPool() {
  if (available() == count_) return;
  report_contract("skb-leak", "an skb pool is destroyed while frames of it are still out", Place::current());
}

Skb* SkbPool::alloc() noexcept {
  Skb* skb;
  {
    SpinGuard guard(lock_);
    skb = free_;
    if (skb == nullptr) return nullptr;
    free_ = skb->next_;
    --available_;
  }
  skb->next_ = nullptr;
  skb->reset(kSkbHeadroom);
  return skb;
}

void SkbPool::alloc(SkbBatch& to, uint32_t count) noexcept {
  SpinGuard guard(lock_);
  for (; count > 0 && free_ != nullptr; --count) {
    Skb* const skb = free_;
    free_ = skb->next_;
    --available_;
    skb->reset(kSkbHeadroom);
    to.push_back(*skb);
  }
}

uint32_t SkbPool::available() const noexcept {
  SpinGuard guard(lock_);
  return available_;
}

void SkbPool::free(Skb& skb) noexcept {
  SkbPool& pool = *skb.pool_;
  SpinGuard guard(pool.lock_);
  skb.next_ = pool.free_;
  pool.free_ = &skb;
  ++pool.available_;
}

void SkbPool::free(SkbBatch& batch) noexcept {
  while (!batch.empty()) {
    SkbPool& pool = *batch.front()->pool_;
    SpinGuard guard(pool.lock_);
    while (!batch.empty() && batch.front()->pool_ == &pool) {
      Skb* const skb = batch.pop_front();
      skb->next_ = pool.free_;
      pool.free_ = skb;
      ++pool.available_;
    }
  }
}

}  // namespace usernic
