// SPDX-License-Identifier: Apache-2.0 OR MIT
// The plan as the driver walks it: what may be handed out next.
#include "core/address_entry.h"
#include "core/mutation.h"
#include "usernic/rx_filter.h"

namespace usernic {

RxPlan::RxPlan(const RxTarget& target, StopToken stop, const Atomic<uint64_t>& card_epoch, uint64_t epoch) noexcept
    : target_(target), stop_(stop), card_epoch_(card_epoch), epoch_(epoch) {}

RxCommand* RxPlan::next() noexcept {
  for (; index_ < commands_.size(); ++index_) {
    if (stop_.stop_requested()) return nullptr;
    RxCommand& command = commands_[index_];
    if (command.destructive && failed_ && !mutated(Mutation::kR3)) continue;
    const bool needs_slot = command.kind == RxCommandKind::kAdd && command.entry != nullptr &&
                            !static_cast<AddressEntry*>(command.entry)->maybe;
    if (needs_slot && free_slots_[slot_table(command)] <= 0) {
      failed_ = true;  // held back is as good as failed: what follows may rely on it
      continue;
    }
    ++index_;
    command.state = RxCommand::State::kHandedOut;
    return &command;
  }
  return nullptr;
}

size_t RxPlan::slot_table(const RxCommand& command) const noexcept {
  return !shared_slots_ && command.object == RxObject::kMulticast ? 1 : 0;
}

void RxPlan::answer(RxCommand& command, Result<> result) noexcept {
  command.before_forget = card_epoch_.load() == epoch_;
  command.state = result ? RxCommand::State::kDone : RxCommand::State::kFailed;
  if (!result) {
    command.error = result.error();
    failed_ = true;
  }
  if (command.entry == nullptr) return;
  // An add takes a slot unless it was refused; only a del that worked surely frees one (R18).
  int64_t& free_slots = free_slots_[slot_table(command)];
  const bool refused = !result && is_refusal(result.error());
  if (command.kind == RxCommandKind::kAdd && !static_cast<AddressEntry*>(command.entry)->maybe && !refused) {
    --free_slots;
  }
  if (command.kind == RxCommandKind::kDel && result) ++free_slots;
}

}  // namespace usernic
