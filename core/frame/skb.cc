// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb.h"

#include <fmt/format.h>

#include "core/frame/frame_account.h"
#include "usernic/contract_report.h"

namespace usernic {

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

USERNIC_BLOCKING_BY_DESIGN_END

void Skb::leave_account() noexcept {
  if (kChecksOn) [[unlikely]]
    FrameAccount::leave(watch().account);
}

void Skb::reset(uint32_t headroom, Place where) noexcept {
  if (headroom > pool_->capacity_) [[unlikely]]
    return void(beyond("reset", headroom, "capacity", pool_->capacity_, where));
  data_ = head_ + headroom;
  size_ = 0;
  offload_ = {};
}

uint32_t Skb::total_size() const noexcept {
  uint32_t sum = size_;
  for (const Skb* part = chain_; part != nullptr; part = part->next_) sum += part->size_;
  return sum;
}

void Skb::chain(Skb& part, Skb* last, Place where) noexcept {
  if (part.at_ != At::kHands) [[unlikely]]
    return SkbBatch::refuse(part, where);
  part.leave_account();
  part.at_ = At::kChain;
  part.where_ = where;
  part.next_ = nullptr;
  (last == nullptr ? chain_ : last->next_) = &part;
}

SkbBatch::~SkbBatch() noexcept {
  SkbPool::free(*this);
}

void SkbBatch::push_front(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return refuse(skb, where);
  skb.leave_account();
  skb.at_ = Skb::At::kBatch;
  skb.where_ = where;
  skb.next_ = first_;
  if (first_ == nullptr) last_ = &skb;
  first_ = &skb;
  ++size_;
}

void SkbBatch::splice(SkbBatch& other) noexcept {
  if (other.first_ == nullptr) return;
  append(*other.first_, *other.last_, other.size_);
  other.first_ = other.last_ = nullptr;
  other.size_ = 0;
}

void SkbBatch::splice_front(SkbBatch& other) noexcept {
  other.splice(*this);
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(size_, other.size_);
}

void SkbBatch::append(Skb& first, Skb& last, uint32_t count) noexcept {
  (first_ == nullptr ? first_ : last_->next_) = &first;
  last_ = &last;
  size_ += count;
}

}  // namespace usernic
