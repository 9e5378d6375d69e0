// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/filter/card_vlans.h"

namespace usernic {

void CardVlans::configure(uint32_t slots, bool fixed) {
  slots_ = slots;
  fixed_ = fixed;
}

void CardVlans::forget() noexcept {
  open = {.sure = !fixed_, .maybe = !fixed_, .refused = fixed_};
  retry_.clear();
  refused_ = SIZE_MAX;
  maybe_.reset();
  sure_.reset();
}

void CardVlans::aim(bool filter, const VlanSet& ids) noexcept {
  filter_ = filter;
  if (filter) wanted_ = ids;
  if (filtered() < refused_) refused_ = SIZE_MAX;  // fewer than the card refused: ask again
  open.target = !filter || unfit() != Unfit::kNo;
}

CardVlans::Unfit CardVlans::unfit() const noexcept {
  if (!filter_) return Unfit::kNo;
  if (slots_ == 0) return Unfit::kNoSlots;
  const size_t ids = filtered();
  if (ids > slots_) return Unfit::kTooMany;
  return ids >= refused_ ? Unfit::kRefused : Unfit::kNo;
}

bool CardVlans::answer(uint16_t id, bool add, Outcome outcome, Duration retry_first, Time now) noexcept {
  const bool failed_in_this_plan = retry_.waits(now);
  if (outcome == Outcome::kDone) {
    sure_[id] = add;
    maybe_[id] = add;
    if (!failed_in_this_plan) retry_.clear();
    return false;
  }
  if (add && outcome == Outcome::kRefused) {
    refused_ = wanted_.count();
    return true;
  }
  add ? maybe_.set(id) : sure_.reset(id);
  if (outcome != Outcome::kStopped && !failed_in_this_plan) retry_.failed(retry_first, now);
  return false;
}

}  // namespace usernic
