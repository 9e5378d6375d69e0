// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the plan of one run while its driver call goes on: what may be handed out next, and what was answered.
//
// A card's slot is free only once the del that frees it worked, so an add that needs one is held back until then; after
// an answer that is not ok nothing destructive follows (R3).
#pragma once

#include <array>
#include <span>

#include "core/filter/rx_step.h"
#include "usernic/work.h"

namespace usernic {

class PlanBook {
 public:
  // By AddressClass; a table that both share is the first.
  struct FreeSlots {
    std::array<int64_t, 2> free;
    bool shared;
  };
  // `epoch`: what the plan was made for.
  PlanBook(std::span<RxStep> steps, const FreeSlots& slots, StopToken stop, const Atomic<uint64_t>& card_epoch,
           uint64_t epoch) noexcept
      : steps_(steps), slots_(slots), stop_(stop), card_epoch_(card_epoch), epoch_(epoch) {}

  std::span<RxStep> steps() const noexcept { return steps_; }
  StopToken stop() const noexcept { return stop_; }
  bool forgot() const noexcept { return card_epoch_.load() != epoch_; }

  // The next one for the driver; null when there is none, or the call is asked to stop.
  RxStep* next() noexcept;
  void answer(RxStep& step, Result<> result) noexcept;
  // The step whose command a driver was handed, or null: it is none of this plan's.
  RxStep* find(const RxCommand& shown) const noexcept;

 private:
  int64_t& free_slots(const RxStep& step) noexcept {
    return slots_.free[slots_.shared ? 0 : static_cast<size_t>(step.address_class())];
  }

  const std::span<RxStep> steps_;
  FreeSlots slots_;
  const StopToken stop_;
  const Atomic<uint64_t>& card_epoch_;
  const uint64_t epoch_;
  size_t index_ = 0;
  bool failed_ = false;
};

}  // namespace usernic
