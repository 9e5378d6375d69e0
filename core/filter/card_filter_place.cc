// SPDX-License-Identifier: Apache-2.0 OR MIT
// Who gets a slot, and how wide each class and each flag must be.
#include <algorithm>

#include "core/filter/card_filter.h"
#include "core/lock/mutation.h"

namespace usernic {

// The own address first, then who was promised a slot, then who waits outside.
void CardFilter::place(const FilterTarget& target, const VlanSet& vlans, Time now) {
  target_ = target;
  now_ = now;
  again_ = false;
  for (CardClass* each : {&uc_, &mc_}) settle_evictions(*each);
  ask_refused_again();
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
  decide_levels(vlans);
}

// Evictions of the last run that did not happen are decided anew.
void CardFilter::settle_evictions(CardClass& each) {
  CardList& evicted = each.list(CardState::kEvict);
  for (size_t left = evicted.size(); left > 0; --left) {
    AddressEntry& entry = evicted.front();
    // Surely there and not refused: it keeps its slot after all. Otherwise it still has to go (R5).
    each.move(entry, entry.sure && !entry.refused ? CardState::kExact : CardState::kEvict);
  }
}

// What a refusal taught of the slots says nothing when the whole is refused; the number of addresses does (R13).
void CardFilter::ask_refused_again() noexcept {
  if (refused_with_ == 0 || uc_.wanted() + mc_.wanted() > refused_with_ / 4 * 3 + refused_with_ % 4 * 3 / 4) return;
  refused_with_ = 0;
  stays_promisc_ = stays_allmulti_ = false;
  for (SlotTable& table : tables_) table.limit = table.slots;
}

// Takes a slot away from an entry that something else can cover (R11).
bool CardFilter::evict_one(CardClass& from) {
  if (!has_cover(from.table.address_class())) return false;
  for (AddressEntry& entry : from.list(CardState::kExact)) {
    if (&entry == target_.own_entry) continue;
    from.move(entry, CardState::kEvict);
    return true;
  }
  return false;
}

// The own address comes first, at every run (R12).
void CardFilter::place_own(int64_t& available) {
  AddressEntry* const own = target_.own_entry;
  if (own == nullptr || own->parked || own->refused) return;
  if (own->state == CardState::kOver && refused_with_ != 0) return;
  if (own->state == CardState::kOver && !mutated(Mutation::kR12)) uc_.move(*own, CardState::kTrying);
  if (own->state != CardState::kTrying || own->maybe) return;
  const bool room = available > 0 || (caps_.shared_slots && evict_one(mc_)) || evict_one(uc_);
  if (!room) return uc_.move(*own, CardState::kOver);
  if (available > 0) --available;
}

void CardFilter::place_trying(CardClass& each, int64_t& available) {
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

void CardFilter::promote(CardClass& each, int64_t& available) {
  if (refused_with_ != 0) return;  // a slot that a del is to free makes no room in what is refused as a whole
  CardList& over = each.list(CardState::kOver);
  const bool first = caps_.shared_slots && &each == &uc_;  // a shared table serves unicast first
  while (!over.empty() && (available > 0 || (first && evict_one(mc_)))) {
    each.move(over.front(), CardState::kTrying);
    if (available > 0) --available;
  }
}

void CardFilter::decide_levels(const VlanSet& vlans) {
  const bool promisc_ok = caps_.promisc && !promisc_.refused;
  const bool allmulti_ok = caps_.allmulti && !allmulti_.refused;
  uc_.set_level(uc_.decide(promisc_ok, false));
  mc_.set_level(mc_.decide(promisc_ok, allmulti_ok));
  // Who asks for allmulti of a card that has none gets promisc.
  const bool by_level = uc_.level == FilterLevel::kPromisc || mc_.level == FilterLevel::kPromisc;
  const bool asked = target_.promisc || by_level || stays_promisc_ || (target_.allmulti && !allmulti_ok);
  promisc_.target = asked && promisc_ok;
  allmulti_.target = (target_.allmulti || mc_.level == FilterLevel::kAllmulti || stays_allmulti_) && allmulti_ok;
  vlans_.aim(target_.vlan_filter, vlans);
}

}  // namespace usernic
