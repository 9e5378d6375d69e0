// SPDX-License-Identifier: Apache-2.0 OR MIT
// A run of the rx-mode work, up to the driver call.
#include <algorithm>
#include <optional>

#include "core/device.h"
#include "core/mutation.h"
#include "core/rx_mode_engine.h"

namespace usernic {

void RxModeEngine::run() {
  std::optional<MutexGuard> rtnl;
  if (dev_.ops.requires_rtnl || mutated(Mutation::kRunUnderRtnl)) rtnl.emplace(dev_.net_ref.rtnl());
  MutexGuard il(dev_.instance_lock);
  if (!mutated(Mutation::kNoRerun)) owed_.store(false);  // a change from here on owes another run
  if (!may_call()) return;

  again_ = false;
  check_epoch();
  now_ = Clock::now();
  wake_for_retry();
  take_in(sample_and_drain());
  place();
  commands_.clear();
  if (!whole_call() || call_due_ <= now_) plan();
  tell_flags();
  if (owes_call()) {
    call_driver();
    now_ = Clock::now();
    commit();
  }
  publish();
  arm_retry();
  if (mutated(Mutation::kNoRerun)) owed_.store(false);
  if (again_) owe_run();
}

// No driver call on a device that is down, absent or going (invariant 5).
bool RxModeEngine::may_call() const noexcept {
  return dev_.reg_state_.load() == RegState::kRegistered && dev_.running_.load() && dev_.present_.load();
}

// The card forgot since the last run: nothing is on it, and nothing that was learned of it holds (R7).
void RxModeEngine::check_epoch(bool in_call) {
  const uint64_t epoch = card_epoch_.load();
  if (epoch == committed_.epoch) return;
  if (mutated(Mutation::kR7) && committed_.epoch != 0) return void(committed_.epoch = epoch);
  uc_.forget_all(false);
  mc_.forget_all(false);
  for (SlotTable& table : tables_) table.limit = table.slots;
  promisc_ = allmulti_ = {};
  vlan_unfiltered_ = {.sure = true, .maybe = true};
  vlan_attempts_ = 0;
  vlan_due_ = {};
  vlans_refused_ = SIZE_MAX;
  vlans_maybe_.reset();
  kernel_lists_.forget(in_call);
  call_asked_.store(true);
  call_attempts_ = 0;
  call_due_ = {};
  refused_with_ = 0;
  stays_promisc_ = stays_allmulti_ = false;
  SpinGuardBh guard(wanted.lock, wanted.level());
  if (image_ != nullptr) image_->ready = false;  // what it shows is of before; the call that is asked for prepares anew
  uc_.hash.configure(caps_.unicast_hash_buckets);
  mc_.hash.configure(caps_.multicast_hash_buckets);
  committed_.vlans.reset();
  committed_.epoch = epoch;
  committed_.generation = 0;
}

// Returns true when nothing is left to drain.
bool RxModeEngine::sample_and_drain() {
  SpinGuardBh guard(wanted.lock, wanted.level());
  if (wanted.generation != target_.generation) committed_.coalesced += wanted.generation - target_.generation - 1;
  target_.generation = wanted.generation;
  target_.promisc = wanted.promiscuity.total() != 0;
  target_.allmulti = wanted.allmulti.total() != 0;
  if (wanted.vlan_filter) target_.vlans = wanted.vlans;
  target_.vlan_filter = wanted.vlan_filter;
  target_.own = wanted.own;
  if (wanted.dirty) oldest_change_ = std::min(oldest_change_, wanted.dirty_since);
  wanted.dirty = false;
  const bool drained = drain_more();
  if (caps_.own_address_uses_slot) target_.own_entry = wanted.uc.find(wanted.own);
  return drained;
}

// At most a chunk of each list. Requires: addr_list_lock.
bool RxModeEngine::drain_more() {
  const auto drain = [this](CardClass& each) {
    return each.table.drain_chunk(each.card, target_.generation, [&each](AddressEntry& entry) { each.drained(entry); });
  };
  return drain(uc_) && drain(mc_);
}

// What was drained, and the chunks behind it.
void RxModeEngine::take_in(bool drained) {
  while (true) {
    uc_.take_in();
    mc_.take_in();
    if (drained || mutated(Mutation::kR19)) break;
    SpinGuardBh guard(wanted.lock, wanted.level());
    drained = drain_more();
  }
  if (mutated(Mutation::kR1)) {
    SpinGuardBh guard(wanted.lock, wanted.level());
    target_.promisc = wanted.promiscuity.total() != 0;
  }
}

// Who gets a slot: the own address, then who was promised one, then who waits outside.
void RxModeEngine::place() {
  for (CardClass* each : {&uc_, &mc_}) settle_evictions(*each);
  ask_refused_image_again();
  for (SlotTable& table : tables_) {
    // A limit that the card taught is asked again at 3/4 of it, or when nobody waits outside (R13).
    const auto waits = [&table](const CardClass& each) { return each.slots == &table && each.outside() != 0; };
    const bool waiting = waits(uc_) || waits(mc_);
    if (!waiting || (table.occupied < table.limit && table.occupied <= table.limit / 4 * 3)) table.limit = table.slots;
  }
  const auto available_of = [this](CardClass& each) {
    int64_t available = each.slots->free() + int64_t(each.list(CardState::kLeaving).size());
    if (caps_.shared_slots) available += (&each == &uc_ ? mc_ : uc_).list(CardState::kLeaving).size();
    return available;
  };
  int64_t unicast = available_of(uc_);
  int64_t multicast = caps_.shared_slots ? 0 : available_of(mc_);
  int64_t& shared_or_mc = caps_.shared_slots ? unicast : multicast;
  place_own(unicast);
  place_trying(uc_, unicast);
  place_trying(mc_, shared_or_mc);
  promote(uc_, unicast);
  promote(mc_, shared_or_mc);
  decide_levels();
}

// Evictions of the last run that did not happen are decided anew.
void RxModeEngine::settle_evictions(CardClass& each) {
  CardList& evicted = each.list(CardState::kEvict);
  for (size_t left = evicted.size(); left > 0; --left) {
    AddressEntry& entry = evicted.front();
    // Surely there and not refused: it keeps its slot after all. Otherwise it still has to go (R5).
    each.move(entry, entry.sure && !entry.refused ? CardState::kExact : CardState::kEvict);
  }
}

// A cover that failed and waits for its retry is none yet: that retry brings the eviction.
bool RxModeEngine::has_cover(const CardClass& each) const noexcept {
  bool some = false;
  bool waiting = false;
  const auto look = [&](bool exists, bool on, Time due) {
    some |= exists;
    waiting |= exists && !on && due > now_;
  };
  look(each.hash.buckets() != 0 && !each.hash_refused, each.hash.failed_count == 0, each.hash.due);
  look(caps_.promisc && !promisc_.refused, promisc_.sure, promisc_.due);
  if (&each == &mc_) look(caps_.allmulti && !allmulti_.refused, allmulti_.sure, allmulti_.due);
  return some && !waiting;
}

// Takes a slot away from an entry that something else can cover (R11).
bool RxModeEngine::evict_one(CardClass& from) {
  CardList& exact = from.list(CardState::kExact);
  if (!has_cover(from)) return false;
  for (AddressEntry& entry : exact) {
    if (&entry == target_.own_entry) continue;
    from.move(entry, CardState::kEvict);
    return true;
  }
  return false;
}

// The own address comes first, at every run (R12).
void RxModeEngine::place_own(int64_t& available) {
  AddressEntry* const own = target_.own_entry;
  if (own == nullptr || own->parked || own->refused) return;
  if (own->state == CardState::kOver && refused_with_ != 0) return;
  if (own->state == CardState::kOver && !mutated(Mutation::kR12)) uc_.move(*own, CardState::kTrying);
  if (own->state != CardState::kTrying || own->maybe) return;
  const bool room = available > 0 || (caps_.shared_slots && evict_one(mc_)) || evict_one(uc_);
  if (!room) return uc_.move(*own, CardState::kOver);
  if (available > 0) --available;
}

void RxModeEngine::place_trying(CardClass& each, int64_t& available) {
  CardList& trying = each.list(CardState::kTrying);
  for (auto it = trying.begin(); it != trying.end();) {
    AddressEntry& entry = *it++;
    if (entry.maybe || &entry == target_.own_entry) continue;
    if (available > 0) {
      --available;
    } else if (!caps_.shared_slots || &each == &mc_ || !evict_one(mc_)) {
      each.move(entry, CardState::kOver);
    }
  }
}

void RxModeEngine::promote(CardClass& each, int64_t& available) {
  if (refused_with_ != 0) return;  // a slot that a del is to free makes no room in an image that is refused
  CardList& over = each.list(CardState::kOver);
  const bool first = caps_.shared_slots && &each == &uc_;  // a shared table serves unicast first
  while (!over.empty() && (available > 0 || (first && evict_one(mc_)))) {
    each.move(over.front(), CardState::kTrying);
    if (available > 0) --available;
  }
}

void RxModeEngine::decide_levels() {
  const bool promisc_ok = caps_.promisc && !promisc_.refused;
  const bool allmulti_ok = caps_.allmulti && !allmulti_.refused;
  uc_.set_level(uc_.decide(promisc_ok, false));
  mc_.set_level(mc_.decide(promisc_ok, allmulti_ok));
  // Who asks for allmulti of a card that has none gets promisc.
  const bool by_level = uc_.level == FilterLevel::kPromisc || mc_.level == FilterLevel::kPromisc;
  promisc_.target = target_.promisc || by_level || stays_promisc_ || (target_.allmulti && !allmulti_ok);
  allmulti_.target = (target_.allmulti || mc_.level == FilterLevel::kAllmulti || stays_allmulti_) && allmulti_ok;
  if (!promisc_ok) promisc_.target = false;
  if (target_.filtered_vlans() < vlans_refused_) vlans_refused_ = SIZE_MAX;  // fewer than the card refused: ask again
  vlan_unfiltered_.target = !target_.vlan_filter || vlans_unfit() != VlansUnfit::kNo;
}

RxModeEngine::VlansUnfit RxModeEngine::vlans_unfit() const noexcept {
  if (!target_.vlan_filter) return VlansUnfit::kNo;
  if (caps_.vlan_slots == 0) return VlansUnfit::kNoSlots;
  const size_t ids = target_.filtered_vlans();
  if (ids > caps_.vlan_slots) return VlansUnfit::kTooMany;
  return ids >= vlans_refused_ ? VlansUnfit::kRefused : VlansUnfit::kNo;
}

void RxModeEngine::command(RxCommandKind kind, RxObject object, AddressEntry* entry, bool destructive) {
  RxCommand& command = commands_.emplace_back(RxCommand{.kind = kind, .object = object});
  command.destructive = destructive;
  command.entry = entry;
  if (entry == nullptr) return;
  command.address = entry->address();
  command.own = entry == target_.own_entry;
}

void RxModeEngine::plan() {
  plan_widen();
  plan_addresses();
  plan_vlans();
  plan_narrow();
  if (mutated(Mutation::kUnprogramFirst)) {
    std::ranges::partition(commands_, [](const RxCommand& each) { return each.kind >= RxCommandKind::kDel; });
  }
}

RxModeEngine::Flag& RxModeEngine::flag_of(RxObject object) noexcept {
  switch (object) {
    case RxObject::kPromisc:
      return promisc_;
    case RxObject::kAllmulti:
      return allmulti_;
    default:
      return vlan_unfiltered_;
  }
}

void RxModeEngine::plan_widen() {
  for (RxObject object : {RxObject::kPromisc, RxObject::kAllmulti, RxObject::kVlanUnfiltered}) {
    const Flag& flag = flag_of(object);
    if (flag.target && !flag.sure && !flag.refused && flag.due <= now_) {
      command(RxCommandKind::kWiden, object, nullptr);
    }
  }
}

// Adds into free slots, buckets, then what frees slots, then adds into those. A card's slot is free only once its del
// worked: RxPlan::next holds later adds back. Nobody is evicted before its bucket or flag is on.
void RxModeEngine::plan_addresses() {
  struct Side {
    CardClass& of;
    RxObject object;
  };
  const Side sides[] = {{uc_, RxObject::kUnicast}, {mc_, RxObject::kMulticast}};
  const auto evict = [this, &sides] {
    for (const Side& side : sides) {
      for (AddressEntry& entry : side.of.list(CardState::kEvict)) {
        command(RxCommandKind::kDel, side.object, &entry, true);
      }
    }
  };
  if (mutated(Mutation::kR11)) evict();
  int64_t free_slots[] = {tables_[0].free(), tables_[1].free()};
  std::vector<std::pair<RxObject, AddressEntry*>> later;
  for (const Side& side : sides) {
    int64_t& free = free_slots[side.of.slots == &tables_[0] ? 0 : 1];
    for (AddressEntry& entry : side.of.list(CardState::kTrying)) {
      if (entry.maybe || free-- > 0) {
        command(RxCommandKind::kAdd, side.object, &entry);
      } else {
        later.emplace_back(side.object, &entry);
      }
    }
  }
  for (const Side& side : sides) plan_buckets(side.of);
  for (const Side& side : sides) {
    for (AddressEntry& entry : side.of.list(CardState::kLeaving)) command(RxCommandKind::kDel, side.object, &entry);
  }
  if (!mutated(Mutation::kR11)) evict();
  for (const auto& [object, entry] : later) command(RxCommandKind::kAdd, object, entry);
}

// What the image lacks is set here; what it has too much is cleared at the end.
void RxModeEngine::plan_buckets(CardClass& each) {
  HashImage& hash = each.hash;
  if (hash.buckets() == 0) return;
  const RxObject object = &each == &mc_ ? RxObject::kMulticast : RxObject::kUnicast;
  if (hash.failed_count != 0 && hash.due <= now_) {
    for (uint32_t bucket = 0; bucket < hash.buckets(); ++bucket) {
      if (hash.failed[bucket]) hash.touch(bucket);
    }
    std::fill(hash.failed.begin(), hash.failed.end(), false);
    hash.failed_count = 0;
  }
  if (is_wide(each.level)) return;
  for (uint32_t bucket : hash.take_dirty()) {
    if (hash.failed[bucket]) continue;
    // A bucket that still carries an entry is never cleared, whatever the level.
    if (!hash.used(bucket)) {
      if (hash.maybe[bucket]) clear_later_.push_back({object, bucket});
    } else if (each.level == FilterLevel::kHash && !hash.sure[bucket]) {
      command(RxCommandKind::kSetBucket, object, nullptr);
      commands_.back().bucket = bucket;
    }
  }
}

// Ids that go first make room for those that come. None goes while the filter is to open and is not open yet.
void RxModeEngine::plan_vlans() {
  // Neither more ids nor an open filter fit: what is not asked for is not in the driver's lists either.
  const bool stuck = vlan_unfiltered_.target && vlan_unfiltered_.refused;
  shown_vlans_ = stuck ? target_.vlans & vlans_maybe_ : target_.vlans;
  if (!target_.vlan_filter && !vlans_in_use_) return;
  vlans_in_use_ = true;
  const bool open = stays_on(vlan_unfiltered_);
  const VlanSet needed = open ? VlanSet() : target_.vlans;
  const VlanSet extra = vlans_maybe_ & ~needed;
  const VlanSet missing = vlan_unfiltered_.target ? VlanSet() : needed & ~committed_.vlans;
  if (extra.none() && missing.none()) {
    vlan_attempts_ = 0;
    vlan_due_ = {};
    vlans_in_use_ = target_.vlan_filter || !open;
    return;
  }
  if (vlan_due_ > now_) return;
  const auto each = [this](const VlanSet& ids, RxCommandKind kind, bool destructive) {
    for (uint16_t id = 0; id < kVlanIds; ++id) {
      if (!ids[id]) continue;
      command(kind, RxObject::kVlan, nullptr, destructive);
      commands_.back().vlan = id;
    }
  };
  each(extra, RxCommandKind::kDel, open);
  each(missing, RxCommandKind::kAdd, false);
}

// Is the flag on after this plan, if everything in it works?
bool RxModeEngine::stays_on(const Flag& flag) const noexcept {
  return flag.target && (flag.sure || (!flag.refused && flag.due <= now_));
}

// Would the card stop passing some wanted address if this flag went off and everything planned so far worked?
bool RxModeEngine::narrowing_deafens(const Flag& flag) const noexcept {
  if (mutated(Mutation::kR2)) return false;
  if (&flag == &vlan_unfiltered_) return vlan_due_ > now_;
  if (stays_on(promisc_)) return false;
  const bool multicast = !stays_on(allmulti_) && mc_.uncovered_by_exact_and_hash();
  return multicast || (&flag == &promisc_ && uc_.uncovered_by_exact_and_hash());
}

void RxModeEngine::plan_narrow() {
  for (const auto& [object, bucket] : clear_later_) {
    command(RxCommandKind::kClearBucket, object, nullptr, true);
    commands_.back().bucket = bucket;
  }
  clear_later_.clear();
  for (RxObject object : {RxObject::kVlanUnfiltered, RxObject::kAllmulti, RxObject::kPromisc}) {
    Flag& flag = flag_of(object);
    if (flag.target || !flag.maybe || flag.due > now_) continue;
    if (narrowing_deafens(flag)) {  // deferred, which is no failure: what it waits for brings it
      flag.attempts = 0;
      flag.due = {};
    } else {
      command(RxCommandKind::kNarrow, object, nullptr, true);
    }
  }
}

// One driver call. Without the op the card has no filter, and every command is carried out by that.
void RxModeEngine::call_driver() {
  RxPlan plan(*this, current_stop_token(), card_epoch_, committed_.epoch);
  plan.commands_ = commands_;
  plan.shared_slots_ = caps_.shared_slots;
  plan.free_slots_[0] = tables_[0].free();
  plan.free_slots_[1] = tables_[1].free();
  if (dev_.ops.set_rx_mode_async != nullptr) {
    dev_.ops.set_rx_mode_async(dev_.driver_, plan);
  } else if (image_ != nullptr) {
    call_image(plan);
  } else if (dev_.ops.set_rx_mode != nullptr) {
    call_legacy(plan);
  } else if (dev_.ops.set_rx_mode_kernel != nullptr) {
    call_kernel(plan);
  } else {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  if (!retry_scheduled_.exchange(false)) retries_scheduled_.store(0);
  stopped_ = plan.stop().stop_requested();
}

void RxModeEngine::for_each(AddressClass address_class, Visit visit, void* user) const {
  const CardClass& each = address_class == AddressClass::kUnicast ? uc_ : mc_;
  each.for_each_wanted([&](const AddressEntry& entry) { visit(user, entry.address()); });
}

}  // namespace usernic
