// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/filter/plan_book.h"

#include <cstdint>

#include "core/filter/outcome.h"
#include "core/lock/mutation.h"

namespace usernic {

RxStep* PlanBook::next() noexcept {
  for (; index_ < steps_.size(); ++index_) {
    if (stop_.stop_requested()) return nullptr;
    RxStep& step = steps_[index_];
    if (step.destructive && failed_ && !mutated(Mutation::kR3)) continue;
    if (step.adds_address() && !step.entry->maybe && free_slots(step) <= 0) {
      failed_ = true;  // held back is as good as failed: what follows may rely on it
      continue;
    }
    ++index_;
    step.state = RxStep::State::kHandedOut;
    step.shown = step.command;
    return &step;
  }
  return nullptr;
}

void PlanBook::answer(RxStep& step, Result<> result) noexcept {
  step.before_forget = !forgot();
  step.state = RxStep::State::kAnswered;
  step.result = result;
  if (!result) failed_ = true;
  if (step.entry == nullptr) return;
  // An add takes a slot unless it was refused; only a del that worked surely frees one (R18).
  const bool refused = !result && is_refusal(result.error());
  if (step.adds_address() && !step.entry->maybe && !refused) --free_slots(step);
  if (step.command.kind == RxCommandKind::kDel && result) ++free_slots(step);
}

RxStep* PlanBook::find(const RxCommand& shown) const noexcept {
  // What lies before them is far behind them.
  const uintptr_t at = reinterpret_cast<uintptr_t>(&shown) - reinterpret_cast<uintptr_t>(steps_.data());
  if (at >= steps_.size_bytes()) return nullptr;
  RxStep& step = steps_[at / sizeof(RxStep)];
  return &step.shown == &shown && step.state != RxStep::State::kUntold ? &step : nullptr;
}

}  // namespace usernic
