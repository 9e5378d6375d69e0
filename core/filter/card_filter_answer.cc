// SPDX-License-Identifier: Apache-2.0 OR MIT
// What the answers mean.
//
//   answer              entry, bucket, flag                       Outcome
//   ok                  as the command says                       kDone
//   no space, unsupp.   this command did nothing; fall back       kRefused
//   canceled            perhaps done; again at once, no failure   kStopped
//   anything else       perhaps done; again at its time           kFailed
#include <algorithm>

#include "core/filter/card_filter.h"
#include "core/lock/mutation.h"

namespace usernic {
namespace {

bool is_bucket(const RxStep& step) noexcept {
  return step.command.kind == RxCommandKind::kSetBucket || step.command.kind == RxCommandKind::kClearBucket;
}

}  // namespace

void CardFilter::answer(RxStep& step, bool stopped, Time now) {
  now_ = now;
  CardClass& each = of(step.address_class());
  if (step.state == RxStep::State::kUntold) {
    // Held back after a failure: that failure's retry brings it again. Otherwise it is still owed at once.
    if (!step.destructive || stopped) again_ = true;
    if (is_bucket(step)) each.hash.touch(step.command.bucket);
    return;
  }
  const Outcome outcome = outcome_of(step.result, stopped);
  if (outcome == Outcome::kFailed) ++tally_.failures;
  if (outcome == Outcome::kStopped) again_ = true;
  switch (step.command.object) {
    case RxObject::kVlan:
      again_ |= vlans_.answer(step.command.vlan, step.command.kind == RxCommandKind::kAdd, outcome, retry_first_, now_);
      return;
    case RxObject::kPromisc:
    case RxObject::kAllmulti:
    case RxObject::kVlanUnfiltered:
      again_ |=
          flag_of(step.command.object).answer(step.command.kind == RxCommandKind::kWiden, outcome, retry_first_, now_);
      return;
    case RxObject::kUnicast:
    case RxObject::kMulticast:
      break;
  }
  if (is_bucket(step)) {
    const bool set = step.command.kind == RxCommandKind::kSetBucket;
    again_ |= each.hash.answer(step.command.bucket, set, outcome, retry_first_, now_);
    return;
  }
  if (step.entry->card().retry.owed()) ++tally_.retries;
  step.command.kind == RxCommandKind::kAdd ? answer_add(step, outcome) : answer_del(step, outcome);
}

void CardFilter::answer_add(RxStep& step, Outcome outcome) {
  AddressEntry& entry = *step.entry;
  CardClass& each = of(step.address_class());
  if (outcome == Outcome::kDone) {
    entry.sure = true;
    each.set_maybe(entry, true);
    each.move(entry, CardState::kExact);
    CardClass::worked(entry);
    return;
  }
  if (outcome == Outcome::kRefused) {
    again_ = true;
    if (mutated(Mutation::kR5)) each.set_maybe(entry, false);
    if (mutated(Mutation::kR13)) return each.move(entry, CardState::kOver);
    entry.refused = step.result.error() == std::errc::operation_not_supported;
    if (!entry.refused) each.slots->limit = std::min(each.slots->limit, each.slots->occupied - (entry.maybe ? 1 : 0));
    // An earlier try may have put it there: then it has to be taken off before something else carries it (R5).
    each.move(entry, entry.maybe ? CardState::kEvict : CardState::kOver);
    CardClass::worked(entry);
    return;
  }
  if (!mutated(Mutation::kR4)) each.set_maybe(entry, true);
  if (outcome == Outcome::kFailed) each.park(entry, step.result.error(), now_);
}

void CardFilter::answer_del(RxStep& step, Outcome outcome) {
  AddressEntry& entry = *step.entry;
  CardClass& each = of(step.address_class());
  entry.sure = false;
  if (outcome != Outcome::kDone) {
    if (outcome != Outcome::kStopped) each.park(entry, step.result.error(), now_);  // R6
    return;
  }
  each.set_maybe(entry, false);
  const bool evicted = entry.state == CardState::kEvict;
  each.move(entry, evicted ? CardState::kOver : CardState::kAbsent);
  CardClass::worked(entry);
  if (!evicted) each.table.release(entry, AddressTable::kCardBit);
}

void CardFilter::answer_forgotten(const RxStep& step) {
  if (step.state == RxStep::State::kUntold || step.before_forget) return;
  if (mutated(Mutation::kR7InFlight)) return;
  CardClass& each = of(step.address_class());
  switch (step.command.kind) {
    case RxCommandKind::kAdd:
      step.entry != nullptr ? each.set_maybe(*step.entry, true) : vlans_.doubt(step.command.vlan);
      break;
    case RxCommandKind::kSetBucket:
      each.hash.doubt(step.command.bucket);
      break;
    case RxCommandKind::kWiden:
      flag_of(step.command.object).maybe = true;
      break;
    case RxCommandKind::kNarrow:
      flag_of(step.command.object).sure = false;
      break;
    default:
      break;  // taken away before or after: it is not there
  }
}

void CardFilter::end_answers() noexcept {
  if (own_waits()) again_ = true;
}

// The own address waits outside, and somebody has a slot that it could have: the next run changes that (R12).
bool CardFilter::own_waits() const noexcept {
  const AddressEntry* const own = target_.own_entry;
  if (own == nullptr || own->state != CardState::kOver || own->refused || refused_with_ != 0) return false;
  const auto has_slots = [this](AddressClass address_class) {
    return of(address_class).count(CardState::kExact) != 0 && has_cover(address_class);
  };
  return has_slots(AddressClass::kUnicast) || (caps_.shared_slots && has_slots(AddressClass::kMulticast));
}

void CardFilter::no_room_without(RxObject flag) noexcept {
  (flag == RxObject::kPromisc ? stays_promisc_ : stays_allmulti_) = true;
  no_room();
  again_ = true;
}

void CardFilter::doubt_kept() noexcept {
  if (stays_promisc_) promisc_.sure = false;
  if (stays_allmulti_) allmulti_.sure = false;
}

// The driver had not pushed it, for it saw no need, and now cannot.
void CardFilter::program_anew(AddressClass address_class, const MacAddress& address) {
  CardClass& each = of(address_class);
  AddressEntry* const entry = each.table.find(address);
  if (entry == nullptr || entry->state != CardState::kExact) return;
  entry->sure = false;
  each.set_maybe(*entry, false);
  each.move(*entry, CardState::kTrying);
  again_ = true;
}

}  // namespace usernic
