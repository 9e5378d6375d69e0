// SPDX-License-Identifier: Apache-2.0 OR MIT
// Buffers of frames: taken, given back, and what is found wrong with them then.
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "core/frame/buffer_guard.h"
#include "core/frame/frame_account.h"
#include "usernic/contract_report.h"
#include "usernic/kick.h"
#include "usernic/skb.h"

namespace usernic {
namespace {
constexpr LockClass kPoolClass{"skb_pool", LockUse::kAnyContext};
constexpr uint32_t kCacheLine = 64;
constexpr uint32_t kMadeAtOnce = 32;  // as many as a batch has, usually

// Apart, so that who frees a frame has none of their stack.
[[gnu::noinline]] void tell(Kick* kick) noexcept USERNIC_NONBLOCKING {
  kick->kick();
}
[[gnu::noinline]] void free_as_batch(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING {
  SkbBatch one;
  one.push_back(skb, where);
  SkbPool::free(one, where);
}

}  // namespace

// What its frames are made of. None of it takes the machine's memory before its frame is used.
struct SkbPool::Memory {
  // Buffers are pages of their own: an allocator may write all of them, as AddressSanitizer's does to its shadows.
  struct Pages {
    explicit Pages(size_t bytes) : size(bytes == 0 ? 1 : bytes) {
      void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped == MAP_FAILED) throw std::bad_alloc();
      first = static_cast<uint8_t*>(mapped);
    }
    ~Pages() { ::munmap(first, size); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    const size_t size;
    uint8_t* first = nullptr;
  };
  template <typename T>
  union Later {
    Later() noexcept {}
    T value;
  };

  Memory(uint32_t count, size_t octets_each, bool watched)
      : stride(octets_each),
        octets(stride * count),
        skbs(std::make_unique_for_overwrite<Later<Skb>[]>(count)),
        cbs(std::make_unique_for_overwrite<Skb::Cb[]>(count)) {
    if (watched) watches = std::make_unique_for_overwrite<Later<Skb::Watch>[]>(count);
  }
  size_t index(const Skb& skb) const noexcept { return static_cast<size_t>(&skb - &skbs[0].value); }

  const size_t stride;
  Pages octets;
  std::unique_ptr<Later<Skb>[]> skbs;
  std::unique_ptr<Skb::Cb[]> cbs;
  std::unique_ptr<Later<Skb::Watch>[]> watches;  // while checks are on
};

// A report allocates; the process is on its way down or under test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN

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
                                         skb.pool_->capacity_),
                             where, before);
  }
}

void SkbPool::report_leak(uint32_t made) const noexcept {
  const BlockingByDesign allowed;
  for (uint32_t i = 0; i < made; ++i) {
    const Skb& skb = memory_->skbs[i].value;
    if (skb.at_ == Skb::At::kPool) continue;
    report_contract(
        "skb-leak",
        fmt::format("a pool is destroyed while {} of its {} frames are still out; the first one is {}: free "
                    "every frame, or hand it on, before its pool goes",
                    count_ - available(), count_,
                    skb.at_ == Skb::At::kBatch   ? "in a batch"
                    : skb.at_ == Skb::At::kChain ? "in the chain of a merged frame"
                    : kChecksOn && skb.watch().account != nullptr
                        ? "with start_xmit's driver of " + skb.watch().account->name()
                        : "with whoever took it"),
        Place::current(), skb.where_);
    return;
  }
}

static void report_written(uint32_t octet, Place freed, Place where) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract("skb-written-after-free",
                  fmt::format("octet {} of a buffer was written while it was free: who frees or hands on a frame must "
                              "not use it afterwards",
                              octet),
                  where, freed);
}

USERNIC_BLOCKING_BY_DESIGN_END

SkbPool::SkbPool(uint32_t count, uint32_t frame_bytes_max, SkbPool* segments)
    : count_(count),
      capacity_((kSkbHeadroom + frame_bytes_max + kCacheLine - 1) / kCacheLine * kCacheLine),
      guarded_(buffer_guard::wanted()),
      segments_(segments),
      memory_(std::make_unique<Memory>(count, size_t{capacity_} + (guarded_ ? 2 * buffer_guard::kZone : 0), kChecksOn)),
      lock_(kPoolClass),
      available_(count) {}

SkbPool::~SkbPool() {
  if (available() != count_) report_leak(made_);
  for (uint32_t i = 0; guarded_ && i < made_; ++i) buffer_guard::forget(memory_->skbs[i].value.head_, capacity_);
}

// Frames that were never used, to the front of what is free. One at a time where those that are back are used late.
bool SkbPool::make() noexcept {
  const uint32_t end = std::min(count_, made_ + (guarded_ ? 1 : kMadeAtOnce));
  for (uint32_t i = end; i-- > made_;) {
    Skb& skb = *std::construct_at(&memory_->skbs[i].value);
    skb.head_ = memory_->octets.first + memory_->stride * i + (guarded_ ? buffer_guard::kZone : 0);
    skb.pool_ = this;
    skb.next_ = free_;
    if (free_ == nullptr) free_last_ = &skb;
    free_ = &skb;
    if (memory_->watches != nullptr) std::construct_at(&memory_->watches[i].value);
  }
  return std::exchange(made_, end) != end;
}

Skb::Watch& Skb::watch() const noexcept {
  return pool_->memory_->watches[pool_->memory_->index(*this)].value;
}

std::span<std::byte, Skb::kCbBytes> Skb::cb() noexcept {
  Cb& octets = pool_->memory_->cbs[pool_->memory_->index(*this)];
  if (!cb_used_) octets.fill(std::byte{});
  cb_used_ = true;
  return octets;
}

// Where it is looked at under the pool's lock, two who free one frame at the same time are noticed, too.
SkbPool::Back SkbPool::put_back(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return skb.at_ == Skb::At::kPool ? Back::kTwice : Back::kFromBatch;
  Back back = Back::kFine;
  if (guarded_) [[unlikely]] {
    skb.leave_account();
    if (buffer_guard::close(skb.head_, capacity_)) back = Back::kDamaged;
    skb.poisoned_ = true;
    if (kChecksOn) skb.watch().life.fetch_add(1, std::memory_order_relaxed);
  }
  skb.at_ = Skb::At::kPool;
  skb.where_ = where;
  ++available_;
  if (kicked_ != nullptr) [[unlikely]]
    tell(std::exchange(kicked_, nullptr));
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
  skb.where_ = where;
  skb.data_ = skb.head_ + kSkbHeadroom;
  skb.size_ = 0;
  skb.cb_used_ = false;
  skb.offload_ = {};
}

void SkbPool::check_and_renew(Skb& skb, Place where) noexcept {
  const auto written = buffer_guard::open(skb.head_, capacity_, skb.poisoned_);
  skb.poisoned_ = false;
  if (written) report_written(*written, skb.where_, where);
  renew(skb, where);
}

Skb* SkbPool::alloc(Place where) noexcept {
  Skb* skb;
  {
    SpinGuard guard(lock_);
    if (free_ == nullptr || guarded_) [[unlikely]]
      make();
    skb = free_;
    if (skb == nullptr) return nullptr;
    free_ = skb->next_;
    --available_;
    skb->at_ = Skb::At::kHands;
  }
  skb->next_ = nullptr;
  guarded_ ? check_and_renew(*skb, where) : renew(*skb, where);
  return skb;
}

void SkbPool::alloc(SkbBatch& to, uint32_t count, Place where) noexcept {
  if (!guarded_) [[likely]] {
    SpinGuard guard(lock_);
    while (count > 0 && (free_ != nullptr || make())) {
      Skb* const first = free_;
      Skb* last = nullptr;
      uint32_t got = 0;
      for (; got < count && free_ != nullptr; ++got) {
        last = free_;
        free_ = last->next_;
        last->at_ = Skb::At::kBatch;
        renew(*last, where);
      }
      last->next_ = nullptr;
      available_ -= got;
      count -= got;
      to.append(*first, *last, got);
    }
    return;
  }
  for (; count > 0; --count) {
    Skb* const skb = alloc(where);
    if (skb == nullptr) return;
    to.push_back(*skb, where);
  }
}

// It is kicked under the lock, so that who has said null may go.
bool SkbPool::kick_when_back(Kick* kick) noexcept {
  SpinGuard guard(lock_);
  kicked_ = available_ == 0 ? kick : nullptr;
  return kicked_ != nullptr;
}

uint32_t SkbPool::available() const noexcept {
  SpinGuard guard(lock_);
  return available_;
}

// Puts the chain of a frame that is on its way back into a batch of its own.
void SkbPool::unchain(Skb& skb, SkbBatch& to, Place where) noexcept {
  for (Skb* part = std::exchange(skb.chain_, nullptr); part != nullptr;) {
    Skb& each = *std::exchange(part, part->next_);
    each.at_ = Skb::At::kHands;
    to.push_back(each, where);
  }
}

void SkbPool::free(Skb& skb, Place where) noexcept {
  SkbPool& pool = *skb.pool_;
  Place before;
  Back back;
  if (skb.chain_ != nullptr && skb.at_ == Skb::At::kHands) [[unlikely]]
    return free_as_batch(skb, where);
  {
    SpinGuard guard(pool.lock_);
    before = skb.where_;
    back = pool.put_back(skb, where);
  }
  if (back != Back::kFine) [[unlikely]]
    report(back, skb, before, where);
}

// The first frames of the batch as far as they are of this pool, to the front of what is free.
void SkbPool::put_back_run(SkbBatch& batch, SkbBatch& chained, Place where) noexcept {
  Skb& first = *batch.first_;
  Skb* last = nullptr;
  uint32_t count = 0;
  for (Skb* skb = &first; skb != nullptr && skb->pool_ == this; skb = skb->next_, ++count) {
    if (skb->chain_ != nullptr) [[unlikely]]
      unchain(*skb, chained, where);
    skb->at_ = Skb::At::kPool;
    skb->where_ = where;
    last = skb;
  }
  batch.first_ = last->next_;
  if (batch.first_ == nullptr) batch.last_ = nullptr;
  batch.size_ -= count;
  if (free_ == nullptr) free_last_ = last;
  last->next_ = free_;
  free_ = &first;
  available_ += count;
  if (kicked_ != nullptr) [[unlikely]]
    tell(std::exchange(kicked_, nullptr));
}

void SkbPool::free(SkbBatch& batch, Place where) noexcept {
  while (!batch.empty()) {
    SkbPool& pool = *batch.front()->pool_;
    SkbBatch chained;
    Skb* skb = nullptr;
    Place before;
    Back back = Back::kFine;
    {
      SpinGuard guard(pool.lock_);
      if (!pool.guarded_) [[likely]] {
        pool.put_back_run(batch, chained, where);
        continue;  // what was chained is freed at the end of the scope
      }
      while (back == Back::kFine && !batch.empty() && batch.front()->pool_ == &pool) {
        before = batch.front()->where_;
        skb = batch.pop_front();
        unchain(*skb, chained, where);
        back = pool.put_back(*skb, where);
      }
    }
    if (back != Back::kFine) [[unlikely]]
      report(back, *skb, before, where);
  }
}

}  // namespace usernic
