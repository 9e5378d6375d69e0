// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb.h"

#include <fmt/format.h>

#include "core/buffer_guard.h"
#include "core/frame_account.h"

namespace usernic {
namespace {
constexpr LockClass kPoolClass{"skb_pool", LockUse::kAnyContext};
constexpr uint32_t kCacheLine = 64;
}  // namespace

// A report allocates; the process is on its way down or under test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN

uint8_t* Skb::beyond(const char* op, uint32_t wanted, const char* of, uint32_t room, Place where) const noexcept {
  const BlockingByDesign allowed;
  report_contract("skb-beyond",
                  fmt::format("{}({}) of a frame whose {} is {}; it is left as it was: look at {}() first", op, wanted,
                              of, room, of),
                  where, where_);
  return nullptr;
}

void SkbBatch::refuse(const Skb& skb, Place where) noexcept {
  const BlockingByDesign allowed;
  if (skb.at_ == Skb::At::kPool) {
    report_contract("skb-used-after-free",
                    "a frame that was freed is put into a batch; it stays in its pool: who frees or hands on a frame "
                    "must not use it afterwards",
                    where, skb.where_);
  } else {
    report_contract(
        "skb-in-two-batches",
        "a frame that is in a batch is put into one; it stays where it is: take it out with pop_front first", where,
        skb.where_);
  }
}

void SkbPool::report(Back what, const Skb& skb, Place before, Place where) noexcept {
  const BlockingByDesign allowed;
  switch (what) {
    case Back::kFine:
      return;
    case Back::kTwice:
      return report_contract("skb-freed-twice",
                             "a frame is freed that is in its pool already: it belongs to one owner, who frees it or "
                             "hands it on, once",
                             where, before);
    case Back::kFromBatch:
      return report_contract("skb-freed-in-batch",
                             "a frame is freed that is still in a batch, which owns it and keeps it: take it out with "
                             "pop_front first, or leave it to the batch",
                             where, before);
    case Back::kDamaged:
      return report_contract("skb-red-zone",
                             fmt::format("somebody wrote outside of a frame's buffer of {} octets: write only between "
                                         "headroom and tailroom, where put and push say",
                                         skb.capacity_),
                             where, before);
  }
}

void SkbPool::report_leak() const noexcept {
  const BlockingByDesign allowed;
  for (uint32_t i = 0; i < count_; ++i) {
    const Skb& skb = skbs_[i];
    if (skb.at_ == Skb::At::kPool) continue;
    report_contract(
        "skb-leak",
        fmt::format("a pool is destroyed while {} of its {} frames are still out; the first one is {}: free "
                    "every frame, or hand it on, before its pool goes",
                    count_ - available(), count_,
                    skb.at_ == Skb::At::kBatch ? "in a batch"
                    : skb.account_ != nullptr  ? "with start_xmit's driver of " + skb.account_->name()
                                               : "with whoever took it"),
        Place::current(), skb.where_);
    return;
  }
}

void SkbPool::report_written(uint32_t octet, Place freed, Place where) noexcept {
  const BlockingByDesign allowed;
  report_contract("skb-written-after-free",
                  fmt::format("octet {} of a buffer was written while it was free: who frees or hands on a frame must "
                              "not use it afterwards",
                              octet),
                  where, freed);
}

USERNIC_BLOCKING_BY_DESIGN_END

SkbBatch::~SkbBatch() noexcept {
  SkbPool::free(*this);
}

void SkbBatch::push_back(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return refuse(skb, where);
  FrameAccount::leave(skb.account_);
  skb.at_ = Skb::At::kBatch;
  skb.where_ = where;
  skb.next_ = nullptr;
  (first_ == nullptr ? first_ : last_->next_) = &skb;
  last_ = &skb;
  ++size_;
}

void SkbBatch::push_front(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return refuse(skb, where);
  FrameAccount::leave(skb.account_);
  skb.at_ = Skb::At::kBatch;
  skb.where_ = where;
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
  skb->at_ = Skb::At::kHands;
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

SkbPool::SkbPool(uint32_t count, uint32_t frame_bytes_max)
    : count_(count), guarded_(buffer_guard::wanted()), lock_(kPoolClass) {
  const uint32_t zone = guarded_ ? buffer_guard::kZone : 0;
  const uint32_t capacity = (kSkbHeadroom + frame_bytes_max + kCacheLine - 1) / kCacheLine * kCacheLine;
  const size_t stride = size_t{capacity} + 2 * zone;
  memory_ = std::make_unique_for_overwrite<uint8_t[]>(stride * count);  // takes memory when used
  skbs_ = std::make_unique<Skb[]>(count);
  for (uint32_t i = count; i-- > 0;) {
    Skb& skb = skbs_[i];
    skb.head_ = &memory_[stride * i + zone];
    skb.capacity_ = capacity;
    skb.pool_ = this;
    skb.next_ = free_;
    free_ = &skb;
    if (free_last_ == nullptr) free_last_ = &skb;
    if (guarded_) buffer_guard::hide(skb.head_, capacity);
  }
  available_ = count;
}

SkbPool::~SkbPool() {
  if (available() != count_) report_leak();
  for (uint32_t i = 0; guarded_ && i < count_; ++i) buffer_guard::forget(skbs_[i].head_, skbs_[i].capacity_);
}

// A chain of up to `count`, in nobody's batch.
Skb* SkbPool::take(uint32_t count) noexcept {
  Skb* const first = free_;
  Skb* last = nullptr;
  for (; count > 0 && free_ != nullptr; --count) {
    last = free_;
    last->at_ = Skb::At::kHands;
    free_ = last->next_;
    --available_;
  }
  if (last == nullptr) return nullptr;
  last->next_ = nullptr;
  return first;
}

// Where it is looked at under the pool's lock, two who free one frame at the same time are noticed, too.
SkbPool::Back SkbPool::put_back(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return skb.at_ == Skb::At::kPool ? Back::kTwice : Back::kFromBatch;
  Back back = Back::kFine;
  FrameAccount::leave(skb.account_);
  if (guarded_) [[unlikely]] {
    if (buffer_guard::close(skb.head_, skb.capacity_)) back = Back::kDamaged;
    skb.poisoned_ = true;
    skb.life_.fetch_add(1, std::memory_order_relaxed);
  }
  skb.at_ = Skb::At::kPool;
  skb.where_ = where;
  ++available_;
  if (guarded_ && free_ != nullptr) {
    skb.next_ = nullptr;
    free_last_->next_ = &skb;
    free_last_ = &skb;
    return back;
  }
  if (free_ == nullptr) free_last_ = &skb;
  skb.next_ = free_;
  free_ = &skb;
  return back;
}

// An empty frame for who takes it.
void SkbPool::renew(Skb& skb, Place where) noexcept {
  if (guarded_) [[unlikely]] {
    const auto written = buffer_guard::open(skb.head_, skb.capacity_, std::exchange(skb.poisoned_, false));
    if (written) report_written(*written, skb.where_, where);
  }
  skb.where_ = where;
  skb.data_ = skb.head_ + kSkbHeadroom;
  skb.size_ = 0;
}

Skb* SkbPool::alloc(Place where) noexcept {
  Skb* skb;
  {
    SpinGuard guard(lock_);
    skb = take(1);
  }
  if (skb != nullptr) renew(*skb, where);
  return skb;
}

void SkbPool::alloc(SkbBatch& to, uint32_t count, Place where) noexcept {
  Skb* taken;
  {
    SpinGuard guard(lock_);
    taken = take(count);
  }
  while (taken != nullptr) {
    Skb& skb = *std::exchange(taken, taken->next_);
    renew(skb, where);
    to.push_back(skb, where);
  }
}

uint32_t SkbPool::available() const noexcept {
  SpinGuard guard(lock_);
  return available_;
}

void SkbPool::free(Skb& skb, Place where) noexcept {
  SkbPool& pool = *skb.pool_;
  Place before;
  Back back;
  {
    SpinGuard guard(pool.lock_);
    before = skb.where_;
    back = pool.put_back(skb, where);
  }
  if (back != Back::kFine) [[unlikely]]
    report(back, skb, before, where);
}

void SkbPool::free(SkbBatch& batch, Place where) noexcept {
  while (!batch.empty()) {
    SkbPool& pool = *batch.front()->pool_;
    const Skb* skb = nullptr;
    Place before;
    Back back = Back::kFine;
    {
      SpinGuard guard(pool.lock_);
      while (back == Back::kFine && !batch.empty() && batch.front()->pool_ == &pool) {
        before = batch.front()->where_;
        skb = batch.front();
        back = pool.put_back(*batch.pop_front(), where);
      }
    }
    if (back != Back::kFine) [[unlikely]]
      report(back, *skb, before, where);
  }
}

}  // namespace usernic
