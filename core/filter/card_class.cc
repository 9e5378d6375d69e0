// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/filter/card_class.h"

#include <algorithm>

#include "core/filter/filter_caps.h"
#include "core/lock/mutation.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

constexpr uint32_t kHashLoadMax = 2;  // entries a bucket; more, and the hash lets too much through

bool wanted_state(CardState state) {
  return state != CardState::kAbsent && state != CardState::kLeaving;
}

size_t parking_lot(uint32_t attempts) {
  return std::clamp<uint32_t>(attempts, 1, 7) - 1;
}

}  // namespace

// Nobody else knows the list yet, or any more.
CardClass::CardClass(AddressTable& of) : table(of) {
  addr_list_lock.assert_held();
  table.subscribe(card);
}
CardClass::~CardClass() {
  addr_list_lock.assert_held();
  table.unsubscribe(card);
}

CardList& CardClass::home(AddressEntry& entry) noexcept {
  if (entry.parked) return lots_[parking_lot(entry.card().retry.attempts())];
  if (entry.state == CardState::kOver && entry.refused) return refused_;
  return list(entry.state);
}

void CardClass::count_parked(const AddressEntry& entry, int by) noexcept {
  if (!entry.parked) return;
  parked_ += by;
  if (wanted_state(entry.state)) parked_wanted_ += by;
}

void CardClass::leave(AddressEntry& entry) noexcept {
  if (entry.state == CardState::kAbsent) return;
  CardList& from = home(entry);
  from.erase(from.iterator_to(entry));
  --counts_[static_cast<size_t>(entry.state)];
  count_parked(entry, -1);
}

void CardClass::enter(AddressEntry& entry) noexcept {
  // A bucket carries what has no exact entry: those outside, those about to go outside, those whose add failed.
  const bool hashed = entry.state == CardState::kOver || entry.state == CardState::kEvict ||
                      (entry.state == CardState::kTrying && entry.parked);
  if (hash.buckets() != 0 && hashed != entry.hashed) {
    hashed ? hash.use(entry.card().bucket) : hash.unuse(entry.card().bucket);
    entry.hashed = hashed;
  }
  if (entry.state == CardState::kAbsent) return;
  home(entry).push_back(entry);
  ++counts_[static_cast<size_t>(entry.state)];
  count_parked(entry, 1);
}

void CardClass::move(AddressEntry& entry, CardState state) {
  leave(entry);
  entry.parked = false;
  entry.state = state;
  enter(entry);
}

void CardClass::park(AddressEntry& entry, std::errc error, Time now) {
  leave(entry);
  entry.parked = true;
  entry.card().retry.failed(retry_first, now);
  entry.card().error = error;
  enter(entry);
}

void CardClass::worked(AddressEntry& entry) noexcept {
  entry.card().retry.clear();
  entry.card().error = {};
}

void CardClass::wake_parked(Time now) {
  if (parked_ == 0) return;
  for (CardList& lot : lots_) {
    while (!lot.empty() && !lot.front().card().retry.waits(now)) move(lot.front(), lot.front().state);
  }
}

Time CardClass::next_due() const noexcept {
  Time due = kForever;
  if (parked_ == 0) return due;
  for (const CardList& lot : lots_) {
    if (!lot.empty()) due = std::min(due, lot.front().card().retry.due());
  }
  return due;
}

void CardClass::set_maybe(AddressEntry& entry, bool maybe) noexcept {
  if (entry.maybe == maybe) return;
  entry.maybe = maybe;
  maybe ? ++slots->occupied : --slots->occupied;
}

uint32_t CardClass::bucket(const MacAddress& address) const noexcept {
  const uint32_t bucket = bucket_of(driver, table.address_class(), address);
  if (bucket < hash.buckets()) [[likely]]
    return bucket;
  report_contract("rx-hash-range", bucket_error(table.address_class(), address, bucket, hash.buckets()),
                  Place::current());
  return 0;
}

bool CardClass::drain(uint64_t target) noexcept {
  return table.drain_chunk(card, target, [this](AddressEntry& entry) {
    addr_list_lock.assert_held();
    drained(entry);
  });
}

void CardClass::drained(AddressEntry& entry) noexcept {
  const bool wanted = entry.wanted();
  if (wanted == wanted_state(entry.state)) return;
  entry.leaving = !wanted;
  if (wanted && entry.state == CardState::kAbsent) {
    entry.told |= AddressTable::kCardBit;
    if (hash.buckets() != 0) entry.card().bucket = bucket(entry.address());
  }
  drained_.push_back(&entry);
}

bool CardClass::take_in() {
  const auto taken = [this](AddressEntry* entry) { return !take_in(*entry); };
  drained_.erase(std::remove_if(drained_.begin(), drained_.end(), taken), drained_.end());
  return !drained_.empty();
}

void CardClass::settle_drained() noexcept {
  for (AddressEntry* const entry : drained_) {
    worked(*entry);
    if (entry->state == CardState::kAbsent) table.release(*entry, AddressTable::kCardBit);
  }
  drained_.clear();
}

// Returns true when something is left to do with the lock.
bool CardClass::take_in(AddressEntry& entry) noexcept {
  if (entry.leaving) {
    move(entry, entry.maybe ? CardState::kLeaving : CardState::kAbsent);
    entry.refused = false;
  } else {
    move(entry, entry.sure ? CardState::kExact : CardState::kTrying);
  }
  return entry.state == CardState::kAbsent || entry.card().retry.owed();
}

FilterLevel CardClass::decide(bool promisc_ok, bool allmulti_ok) const noexcept {
  const bool wide_now = is_wide(level);
  if (outside() == 0) {
    // Hysteresis: a class that overflowed comes back only when a quarter of the slots is free again.
    if (!wide_now ||
        wanted() <= std::max(mutated(Mutation::kR14) ? 0u : 1u, slots_at_entry / 4 * 3 + slots_at_entry % 4 * 3 / 4)) {
      return FilterLevel::kExact;
    }
    return level;
  }
  const bool hash_ok = hash.usable();
  const uint64_t room = uint64_t{kHashLoadMax} * hash.buckets();
  if (hash_ok && outside() <= (wide_now ? room * 3 / 4 : room)) return FilterLevel::kHash;
  if (table.address_class() == AddressClass::kMulticast && allmulti_ok) return FilterLevel::kAllmulti;
  if (promisc_ok) return FilterLevel::kPromisc;
  return hash_ok ? FilterLevel::kHash : FilterLevel::kDegraded;
}

void CardClass::set_level(FilterLevel next) {
  if (next == level) return;
  if (is_wide(next) && !is_wide(level)) slots_at_entry = slots->slots;
  level = next;
  // While wide the image stays as it is; otherwise its bits are those of its users again.
  if (!is_wide(next)) hash.touch_all();
}

bool CardClass::uncovered_by_exact_and_hash() const noexcept {
  if (level == FilterLevel::kHash) return !hash.all_well();
  return parked_wanted_ != 0 || outside() != 0;
}

CardList* CardClass::next_list() noexcept {
  for (CardList& each : lists_) {
    if (!each.empty()) return &each;
  }
  if (!refused_.empty()) return &refused_;
  for (CardList& each : lots_) {
    if (!each.empty()) return &each;
  }
  return nullptr;
}

bool CardClass::forget_chunk(bool close) {
  for (size_t i = 0; i < AddressTable::kChunk; ++i) {
    CardList* const from = next_list();
    if (from == nullptr) return false;
    AddressEntry& entry = from->front();
    const bool keep = !close && wanted_state(entry.state);
    move(entry, CardState::kAbsent);
    set_maybe(entry, false);
    entry.sure = entry.refused = false;
    worked(entry);
    keep ? forgotten_.push_back(entry) : table.release(entry, AddressTable::kCardBit);
  }
  return true;
}

void CardClass::come_back() {
  while (!forgotten_.empty()) {
    AddressEntry& entry = forgotten_.front();
    forgotten_.pop_front();
    move(entry, CardState::kTrying);
  }
  level = FilterLevel::kExact;
}

}  // namespace usernic
