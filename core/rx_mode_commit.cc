// SPDX-License-Identifier: Apache-2.0 OR MIT
// A run of the rx-mode work, after the driver call: what the answers mean (R4, R5, R6).
//
//   answer              entry, bucket, flag                       in this file called
//   ok                  as the command says                       done
//   no space, unsupp.   this command did nothing; fall back       refused
//   canceled            perhaps done; again at once, no failure   stopped
//   anything else       perhaps done; again at its time           failed
#include <algorithm>

#include "core/device.h"
#include "core/mutation.h"
#include "core/rx_mode_engine.h"

namespace usernic {

void RxModeEngine::commit() {
  const bool forgot = card_epoch_.load() != committed_.epoch;
  if (forgot) {
    // What was answered before is gone with the rest; what was on its way then may have been done after (R7b).
    check_epoch(true);
    again_ = true;
  }
  if (commands_.empty()) return;
  if (!forgot) check_taken();
  for (size_t first = 0; first < commands_.size(); first += AddressTable::kChunk) {
    const size_t last = std::min(first + AddressTable::kChunk, commands_.size());
    SpinGuardBh guard(wanted.lock, wanted.level());
    if (first == 0) ++committed_.driver_calls;
    for (size_t i = first; i < last; ++i) {
      forgot ? commit_forgotten(commands_[i]) : commit_one(commands_[i]);
    }
  }
  if (own_waits()) again_ = true;
}

// The own address waits outside, and somebody has a slot that it could have: the next run changes that (R12).
bool RxModeEngine::own_waits() const noexcept {
  const AddressEntry* const own = target_.own_entry;
  if (own == nullptr || own->state != CardState::kOver || own->refused || !has_cover(uc_)) return false;
  if (refused_with_ != 0) return false;
  return uc_.count(CardState::kExact) != 0 || (caps_.shared_slots && mc_.count(CardState::kExact) != 0);
}

// Asked to stop, the driver may leave a command undone: no failure, and it comes again.
bool RxModeEngine::was_stopped(std::errc error) const noexcept {
  return stopped_ && error == std::errc::operation_canceled;
}

// A driver that takes no command at all would be called for ever.
void RxModeEngine::check_taken() {
  const auto taken = [](const RxCommand& command) { return command.state != RxCommand::State::kUntold; };
  if (dev_.ops.set_rx_mode_async == nullptr || stopped_ || std::any_of(commands_.begin(), commands_.end(), taken))
    return;
  report_contract("rx-plan-untouched", "the driver took no command of its plan", Place::current());
  commands_.front().state = RxCommand::State::kFailed;
  commands_.front().error = std::errc::io_error;
}

void RxModeEngine::commit_forgotten(const RxCommand& command) {
  if (command.state == RxCommand::State::kUntold || command.before_forget) return;
  if (mutated(Mutation::kR7InFlight)) return;
  switch (command.kind) {
    case RxCommandKind::kAdd:
      if (command.object == RxObject::kVlan) {
        vlans_maybe_.set(command.vlan);
      } else {
        CardClass& each = class_of(command.object);
        each.set_maybe(*static_cast<AddressEntry*>(command.entry), true);
      }
      break;
    case RxCommandKind::kSetBucket:
      class_of(command.object).hash.maybe[command.bucket] = true;
      class_of(command.object).hash.touch(command.bucket);
      break;
    case RxCommandKind::kWiden:
      flag_of(command.object).maybe = true;
      break;
    case RxCommandKind::kNarrow:
      flag_of(command.object).sure = false;
      break;
    default:
      break;  // taken away before or after: it is not there
  }
}

void RxModeEngine::commit_one(RxCommand& command) {
  if (command.state == RxCommand::State::kUntold) {
    // Held back after a failure: that failure's retry brings it again. Otherwise it is still owed at once.
    if (!command.destructive || stopped_) again_ = true;
    const bool bucket = command.kind == RxCommandKind::kSetBucket || command.kind == RxCommandKind::kClearBucket;
    if (bucket) class_of(command.object).hash.touch(command.bucket);
    return;
  }
  if (command.state == RxCommand::State::kHandedOut) {
    report_contract("rx-command-unanswered", "the driver took a command of the plan and did not answer it",
                    Place::current());
    command.state = RxCommand::State::kFailed;
    command.error = std::errc::io_error;
  }
  if (command.state == RxCommand::State::kFailed) {
    if (was_stopped(command.error)) {
      again_ = true;
    } else if (!is_refusal(command.error)) {
      ++committed_.failures;
    }
  }
  switch (command.object) {
    case RxObject::kVlan:
      return commit_vlan(command);
    case RxObject::kPromisc:
    case RxObject::kAllmulti:
    case RxObject::kVlanUnfiltered:
      return commit_flag(command);
    case RxObject::kUnicast:
    case RxObject::kMulticast:
      break;
  }
  if (command.entry == nullptr) return commit_bucket(command);
  if (static_cast<AddressEntry*>(command.entry)->card().attempts != 0) ++committed_.retries;
  command.kind == RxCommandKind::kAdd ? commit_add(command) : commit_del(command);
}

void RxModeEngine::commit_add(RxCommand& command) {
  AddressEntry& entry = *static_cast<AddressEntry*>(command.entry);
  CardClass& each = class_of(command.object);
  if (command.state == RxCommand::State::kDone) {
    entry.sure = true;
    each.set_maybe(entry, true);
    each.move(entry, CardState::kExact);
    entry.card().attempts = 0;
    entry.card().error = {};
    return;
  }
  if (is_refusal(command.error)) {
    again_ = true;
    if (mutated(Mutation::kR5)) each.set_maybe(entry, false);
    if (mutated(Mutation::kR13)) return each.move(entry, CardState::kOver);
    entry.refused = command.error == std::errc::operation_not_supported;
    if (!entry.refused) each.slots->limit = std::min(each.slots->limit, each.slots->occupied - (entry.maybe ? 1 : 0));
    // An earlier try may have put it there: then it has to be taken off before something else carries it (R5).
    each.move(entry, entry.maybe ? CardState::kEvict : CardState::kOver);
    entry.card().attempts = 0;
    return;
  }
  if (!mutated(Mutation::kR4)) each.set_maybe(entry, true);
  if (!was_stopped(command.error)) each.park(entry, command.error, now_);
}

void RxModeEngine::commit_del(RxCommand& command) {
  AddressEntry& entry = *static_cast<AddressEntry*>(command.entry);
  CardClass& each = class_of(command.object);
  entry.sure = false;
  if (command.state != RxCommand::State::kDone) {
    if (!was_stopped(command.error)) each.park(entry, command.error, now_);
    return;
  }
  each.set_maybe(entry, false);
  const bool evicted = entry.state == CardState::kEvict;
  each.move(entry, evicted ? CardState::kOver : CardState::kAbsent);
  entry.card().attempts = 0;
  entry.card().error = {};
  if (!evicted) each.table.release(entry, AddressTable::kCardBit);
}

void RxModeEngine::commit_bucket(RxCommand& command) {
  CardClass& each = class_of(command.object);
  HashImage& hash = each.hash;
  const uint32_t bucket = command.bucket;
  const bool set = command.kind == RxCommandKind::kSetBucket;
  if (command.state == RxCommand::State::kDone) {
    hash.sure[bucket] = hash.maybe[bucket] = set;
    if (hash.failed_count == 0) hash.attempts = 0;
    return;
  }
  if (set && is_refusal(command.error)) {
    each.hash_refused = true;
    again_ = true;
  } else if (set) {
    hash.maybe[bucket] = true;
  } else {
    hash.sure[bucket] = false;
  }
  hash.touch(bucket);
  if (was_stopped(command.error) || (set && is_refusal(command.error))) return;
  if (hash.failed_count == 0) hash.due = now_ + retry_delay(retry_first_, ++hash.attempts);
  if (!hash.failed[bucket]) ++hash.failed_count;
  hash.failed[bucket] = true;
}

void RxModeEngine::commit_flag(RxCommand& command) {
  Flag& flag = flag_of(command.object);
  const bool widen = command.kind == RxCommandKind::kWiden;
  if (command.state == RxCommand::State::kDone) {
    flag.sure = flag.maybe = widen;
    flag.attempts = 0;
    flag.due = {};
    return;
  }
  if (widen && is_refusal(command.error)) {
    flag.refused = true;
    flag.attempts = 0;
    flag.due = {};
    again_ = true;
    return;
  }
  widen ? flag.maybe = true : flag.sure = false;
  if (!was_stopped(command.error)) flag.due = now_ + retry_delay(retry_first_, ++flag.attempts);
}

// One back-off for all ids: a plan with a failure counts once, one without ends it. A refused add opens the filter.
void RxModeEngine::commit_vlan(RxCommand& command) {
  const bool add = command.kind == RxCommandKind::kAdd;
  const bool failed_in_this_plan = vlan_due_ > now_;
  if (command.state == RxCommand::State::kDone) {
    committed_.vlans[command.vlan] = add;
    vlans_maybe_[command.vlan] = add;
    if (failed_in_this_plan) return;
    vlan_attempts_ = 0;
    vlan_due_ = {};
    return;
  }
  if (add && is_refusal(command.error)) {
    vlans_refused_ = target_.vlans.count();
    again_ = true;
    return;
  }
  add ? vlans_maybe_.set(command.vlan) : committed_.vlans.reset(command.vlan);
  if (was_stopped(command.error) || failed_in_this_plan) return;
  vlan_due_ = now_ + retry_delay(retry_first_, ++vlan_attempts_);
}

// Is everything that this run aimed at done, addresses that failed excepted?
bool RxModeEngine::in_effect() const noexcept {
  if (again_ || call_attempts_ != 0) return false;
  for (const Flag* flag : {&promisc_, &allmulti_, &vlan_unfiltered_}) {
    if (flag->target && !flag->sure && !flag->refused) return false;
    if (!flag->target && flag->attempts != 0) return false;
  }
  const auto image_done = [](const CardClass& each) {
    return each.hash.failed_count == 0 && (is_wide(each.level) || !each.hash.has_dirty());
  };
  return image_done(uc_) && image_done(mc_) && vlan_attempts_ == 0;
}

// How many wanted addresses the card does not pass, as far as this run could do something about it.
uint32_t RxModeEngine::uncovered() const noexcept {
  if (promisc_.sure) return 0;
  const auto of = [](const CardClass& each) {
    if (!each.uncovered_by_exact_and_hash()) return 0u;
    return std::max(1u, each.parked_wanted() + each.outside());
  };
  return of(uc_) + (allmulti_.sure ? 0 : of(mc_));
}

// Is something still on that should be off, only because an address would go deaf?
bool RxModeEngine::narrow_deferred() const noexcept {
  const auto waits = [](const Flag& flag) { return !flag.target && flag.maybe && flag.attempts == 0; };
  return waits(promisc_) || waits(allmulti_) || waits(vlan_unfiltered_);
}

void RxModeEngine::publish() {
  const auto image_owes = [](const CardClass& each) {
    return !is_wide(each.level) && each.hash.has_dirty() && each.hash.failed_count == 0;
  };
  if (image_owes(uc_) || image_owes(mc_)) again_ = true;
  const bool done = in_effect();
  const size_t vlans = target_.filtered_vlans();
  if (mutated(Mutation::kWakeFirst)) published_.wake();
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    ++committed_.runs;
    const CardClass* const classes[] = {&uc_, &mc_};
    for (size_t i = 0; i < 2; ++i) {
      committed_.level[i] = classes[i]->level;
      committed_.outside[i] = classes[i]->outside();
      committed_.wanted[i] = classes[i]->wanted();
    }
    committed_.narrow_deferred = narrow_deferred();
    committed_.image_full = stays_promisc_ || stays_allmulti_;
    committed_.vlans_unfit = vlans_unfit();
    committed_.vlans_wanted = vlans;
    committed_.in_effect = done;
    committed_.uncovered = uncovered();
    committed_.parked = uc_.parked() + mc_.parked();
    if (done && card_epoch_.load() == committed_.epoch) {
      committed_.generation = target_.generation;
      if (oldest_change_ != kForever) committed_.lag.add(now_ - oldest_change_);
      oldest_change_ = kForever;
    }
  }
  if (!mutated(Mutation::kWakeFirst)) published_.wake();
}

// The next run that nobody else owes: at the first retry that comes due.
void RxModeEngine::arm_retry() {
  if (call_attempts_ != 0) dev_.lane_queue.queue_at(retry_, call_due_);
  if (whole_call()) return;
  Time due = std::min(uc_.next_due(), mc_.next_due());
  for (const CardClass* each : {&uc_, &mc_}) {
    if (each->hash.failed_count != 0) due = std::min(due, each->hash.due);
  }
  for (const Flag* flag : {&promisc_, &allmulti_, &vlan_unfiltered_}) {
    if (flag->attempts != 0) due = std::min(due, flag->due);
  }
  if (vlan_attempts_ != 0) due = std::min(due, vlan_due_);
  if (due != kForever) dev_.lane_queue.queue_at(retry_, due);
}

}  // namespace usernic
