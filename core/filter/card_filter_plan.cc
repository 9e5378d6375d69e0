// SPDX-License-Identifier: Apache-2.0 OR MIT
// Ordered commands: filters are widened first and narrowed last.
#include <algorithm>

#include "core/filter/card_filter.h"
#include "core/lock/mutation.h"

namespace usernic {
namespace {

RxObject object_of(const CardClass& each) noexcept {
  return each.table.address_class() == AddressClass::kMulticast ? RxObject::kMulticast : RxObject::kUnicast;
}

}  // namespace

std::vector<RxStep>& CardFilter::plan(Time now) {
  now_ = now;
  steps_.clear();
  plan_widen();
  plan_addresses();
  plan_vlans();
  plan_narrow();
  if (mutated(Mutation::kUnprogramFirst)) {
    std::ranges::partition(steps_, [](const RxStep& each) { return each.command.kind >= RxCommandKind::kDel; });
  }
  return steps_;
}

RxStep& CardFilter::step(RxCommandKind kind, RxObject object, AddressEntry* entry, bool destructive) {
  RxStep& step = steps_.emplace_back();
  step.command.kind = kind;
  step.command.object = object;
  step.destructive = destructive;
  step.entry = entry;
  if (entry == nullptr) return step;
  step.command.address = entry->address();
  step.command.own = entry == target_.own_entry;
  return step;
}

void CardFilter::plan_widen() {
  for (RxObject object : {RxObject::kPromisc, RxObject::kAllmulti, RxObject::kVlanUnfiltered}) {
    if (flag_of(object).to_widen(now_)) step(RxCommandKind::kWiden, object);
  }
}

// Adds into free slots, buckets, then what frees slots, then adds into those: PlanBook::next holds those back until a
// del worked. Nobody is evicted before its bucket or flag is on.
void CardFilter::plan_addresses() {
  const auto evict = [this] {
    for (CardClass* each : {&uc_, &mc_}) {
      for (AddressEntry& entry : each->list(CardState::kEvict)) {
        step(RxCommandKind::kDel, object_of(*each), &entry, true);
      }
    }
  };
  if (mutated(Mutation::kR11)) evict();
  int64_t free_slots[] = {tables_[0].free(), tables_[1].free()};
  std::vector<std::pair<RxObject, AddressEntry*>> later;
  for (CardClass* each : {&uc_, &mc_}) {
    int64_t& free = free_slots[each->slots == &tables_[0] ? 0 : 1];
    for (AddressEntry& entry : each->list(CardState::kTrying)) {
      if (entry.maybe || free-- > 0) {
        step(RxCommandKind::kAdd, object_of(*each), &entry);
      } else {
        later.emplace_back(object_of(*each), &entry);
      }
    }
  }
  for (CardClass* each : {&uc_, &mc_}) plan_buckets(*each);
  for (CardClass* each : {&uc_, &mc_}) {
    for (AddressEntry& entry : each->list(CardState::kLeaving)) step(RxCommandKind::kDel, object_of(*each), &entry);
  }
  if (!mutated(Mutation::kR11)) evict();
  for (const auto& [object, entry] : later) step(RxCommandKind::kAdd, object, entry);
}

// What the image lacks is set here; what it has too much is cleared at the end.
void CardFilter::plan_buckets(CardClass& each) {
  if (each.hash.buckets() == 0) return;
  each.hash.wake(now_);
  if (is_wide(each.level)) return;
  const RxObject object = object_of(each);
  each.hash.plan(
      each.level == FilterLevel::kHash,
      [&](uint32_t bucket) { step(RxCommandKind::kSetBucket, object).command.bucket = bucket; },
      [&](uint32_t bucket) { clear_later_.emplace_back(object, bucket); });
}

void CardFilter::plan_vlans() {
  vlans_.plan(
      now_,
      [this](uint16_t id, bool destructive) {
        step(RxCommandKind::kDel, RxObject::kVlan, nullptr, destructive).command.vlan = id;
      },
      [this](uint16_t id) { step(RxCommandKind::kAdd, RxObject::kVlan).command.vlan = id; });
}

// Would the card stop passing something wanted if this flag went off and everything planned so far worked?
bool CardFilter::narrowing_deafens(RxObject object) const noexcept {
  if (mutated(Mutation::kR2)) return false;
  if (object == RxObject::kVlanUnfiltered) return vlans_.closing_deafens(now_);
  if (promisc_.stays_on(now_)) return false;
  const bool multicast = !allmulti_.stays_on(now_) && mc_.uncovered_by_exact_and_hash();
  return multicast || (object == RxObject::kPromisc && uc_.uncovered_by_exact_and_hash());
}

void CardFilter::plan_narrow() {
  for (const auto& [object, bucket] : clear_later_) {
    step(RxCommandKind::kClearBucket, object, nullptr, true).command.bucket = bucket;
  }
  clear_later_.clear();
  for (RxObject object : {RxObject::kVlanUnfiltered, RxObject::kAllmulti, RxObject::kPromisc}) {
    CardFlag& flag = flag_of(object);
    if (!flag.to_narrow(now_)) continue;
    if (narrowing_deafens(object)) {
      flag.retry.clear();  // deferred, which is no failure: what it waits for brings it
    } else {
      step(RxCommandKind::kNarrow, object, nullptr, true);
    }
  }
}

}  // namespace usernic
