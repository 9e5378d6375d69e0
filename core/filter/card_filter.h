// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the receive filter of one card: what is on it, and what is to be done next. It has no lock, device or clock.
//
//   place    who gets a slot, how wide each class must be, which flags are to be on
//   plan     ordered commands: widen, add, set, del, add, evict, clear, narrow
//   answer   what became of one of them (R4, R5, R6)
//   due      when something that failed is to be tried again
//
// The caller is one at a time (the rx-mode run) and says what time it is. What readers see changes only in functions
// that require addr_list_lock, and is read by those that require it; the caller, who alone changes it, reads it
// without. Rule numbers (R1 ..) are those of docs/rx-mode.md.
#pragma once

#include <utility>
#include <vector>

#include "core/filter/card_class.h"
#include "core/filter/card_flag.h"
#include "core/filter/card_vlans.h"
#include "core/filter/filter_view.h"
#include "core/filter/plan_book.h"
#include "core/filter/rx_step.h"

namespace usernic {

// What a run works towards, sampled in one lock hold (R1).
struct FilterTarget {
  uint64_t generation = 0;
  bool promisc = false;
  bool allmulti = false;
  bool vlan_filter = false;
  MacAddress own;
  AddressEntry* own_entry = nullptr;  // only where the own address uses a slot
};

class CardFilter {
 public:
  using BucketOf = uint32_t (*)(const void*, AddressClass, const MacAddress&);

  // Follows both lists, before anybody else does (AddressTable::kCardBit), as long as it lives.
  CardFilter(AddressTable& uc, AddressTable& mc) : uc_(uc), mc_(mc) {}
  void configure(const RxFilterCaps& caps, BucketOf bucket_of, const void* driver, Duration retry_first);

  // What stands in the change order goes where it belongs: at most a chunk of each list a hold, then `take_in`. `drain`
  // returns true when nothing up to `generation` is left, `take_in` when some is left to `settle_drained`.
  bool drain(uint64_t generation) noexcept USERNIC_REQUIRES(addr_list_lock);
  bool take_in();
  void settle_drained() noexcept USERNIC_REQUIRES(addr_list_lock);
  // From the start again.
  void rewind() noexcept USERNIC_REQUIRES(addr_list_lock);

  // The card is empty, and nothing that was learned of it holds (R7): chunks, until it returns false; then what stays
  // wanted comes back. `close`: nothing does.
  bool forget_chunk(bool close) USERNIC_REQUIRES(addr_list_lock);
  void come_back();
  void unlearn() USERNIC_REQUIRES(addr_list_lock);

  // What waits for its time is due / all of it is.
  void wake(Time now, bool all);
  void place(const FilterTarget& target, const VlanSet& vlans, Time now);  // the ids count while a filter is wanted
  std::vector<RxStep>& plan(Time now);
  void answer(RxStep& step, bool stopped, Time now) USERNIC_REQUIRES(addr_list_lock);
  // The card forgot before the plan was through: what was on its way then is there perhaps (R7b).
  void answer_forgotten(const RxStep& step) USERNIC_REQUIRES(addr_list_lock);
  // All are answered.
  void end_answers() noexcept;
  Time due() const noexcept;
  // There is more to do, at once.
  bool again() const noexcept;
  FilterView view() const noexcept;

  // For calls that have one result for all, or push from a list. So many addresses had no room: without this flag, or
  // at all; while it is so, slots say nothing. / What was shown to a driver is on perhaps, or off perhaps. / An address
  // that was believed on the card is not.
  void no_room_without(RxObject flag) noexcept;
  void no_room() noexcept { refused_with_ = uc_.wanted() + mc_.wanted(); }
  void doubt_on(RxObject flag) noexcept USERNIC_REQUIRES(addr_list_lock) { flag_of(flag).maybe = true; }
  void doubt_kept() noexcept USERNIC_REQUIRES(addr_list_lock);
  void program_anew(AddressClass address_class, const MacAddress& address) USERNIC_REQUIRES(addr_list_lock);

  // What readers may know: what the last commit left.
  bool covers(AddressClass address_class, bool exactly, uint32_t bucket) const noexcept
      USERNIC_REQUIRES(addr_list_lock);
  bool passes_all(AddressClass address_class) const noexcept USERNIC_REQUIRES(addr_list_lock);
  bool hashed(AddressClass address_class, uint32_t bucket) const noexcept USERNIC_REQUIRES(addr_list_lock);
  uint32_t bucket_of(AddressClass address_class, const MacAddress& address) const noexcept;
  const FilterTally& tally() const noexcept USERNIC_REQUIRES(addr_list_lock) { return tally_; }

  // The inside, for its own caller and for who checks it.
  const RxFilterCaps& caps() const noexcept { return caps_; }
  const FilterTarget& target() const noexcept { return target_; }
  const CardClass& of(AddressClass address_class) const noexcept {
    return address_class == AddressClass::kMulticast ? mc_ : uc_;
  }
  CardClass& of(AddressClass address_class) noexcept { return address_class == AddressClass::kMulticast ? mc_ : uc_; }
  const CardFlag& flag(RxObject object) const noexcept { return const_cast<CardFilter*>(this)->flag_of(object); }
  const CardVlans& vlans() const noexcept { return vlans_; }
  const SlotTable& slots(AddressClass address_class) const noexcept { return tables_[table_of(address_class)]; }
  PlanBook::FreeSlots free_slots() const noexcept {
    return {{tables_[0].free(), tables_[1].free()}, caps_.shared_slots};
  }
  // Can something else carry what loses its slot, as far as is known?
  bool has_cover(AddressClass address_class) const noexcept;

 private:
  size_t table_of(AddressClass address_class) const noexcept {
    return caps_.shared_slots ? 0 : static_cast<size_t>(address_class);
  }
  CardFlag& flag_of(RxObject object) noexcept {
    return object == RxObject::kPromisc ? promisc_ : object == RxObject::kAllmulti ? allmulti_ : vlans_.open;
  }

  // card_filter_place.cc
  void settle_evictions(CardClass& each);
  void ask_refused_again() noexcept;
  bool evict_one(CardClass& from);
  void place_own(int64_t& available);
  void place_trying(CardClass& each, int64_t& available);
  void promote(CardClass& each, int64_t& available);
  void decide_levels(const VlanSet& vlans);
  // card_filter_plan.cc
  RxStep& step(RxCommandKind kind, RxObject object, AddressEntry* entry = nullptr, bool destructive = false);
  void plan_widen();
  void plan_addresses();
  void plan_buckets(CardClass& each);
  void plan_vlans();
  void plan_narrow();
  bool narrowing_deafens(RxObject object) const noexcept;
  // card_filter_answer.cc
  void answer_add(RxStep& step, Outcome outcome) USERNIC_REQUIRES(addr_list_lock);
  void answer_del(RxStep& step, Outcome outcome) USERNIC_REQUIRES(addr_list_lock);
  bool own_waits() const noexcept;

  RxFilterCaps caps_;
  Duration retry_first_{};
  SlotTable tables_[2];
  CardClass uc_, mc_;
  CardFlag promisc_, allmulti_;
  CardVlans vlans_;
  FilterTarget target_;
  std::vector<RxStep> steps_;
  std::vector<std::pair<RxObject, uint32_t>> clear_later_;  // buckets to clear once everything else worked
  bool stays_promisc_ = false, stays_allmulti_ = false;     // without it there was no room
  uint32_t refused_with_ = 0;                               // so many addresses were too many; 0: none were
  bool again_ = false;
  Time now_{};
  FilterTally tally_ USERNIC_GUARDED_BY(addr_list_lock);
};

}  // namespace usernic
