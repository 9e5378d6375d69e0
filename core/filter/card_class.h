// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one address class on the card, as the rx-mode work knows it: each entry's state, and how wide the filter is.
//
// Every drained entry is in exactly one list: by its state, or parked after a failure until its time comes. Counters
// answer every question a run asks, so a run costs what changed. Written by the rx-mode work alone, without a lock,
// except where a function requires addr_list_lock: there something changes that readers see.
#pragma once

#include <array>
#include <boost/container/static_vector.hpp>
#include <cstdint>

#include "core/filter/hash_image.h"
#include "core/list/address_table.h"
#include "usernic/rx_filter.h"

namespace usernic {

// How one class is filtered. kDegraded: some addresses have no way in at all.
enum class FilterLevel : uint8_t { kExact, kHash, kAllmulti, kPromisc, kDegraded };
constexpr bool is_wide(FilterLevel level) {
  return level == FilterLevel::kAllmulti || level == FilterLevel::kPromisc;
}

// Exact slots: of one class, or of both when the card's table is shared.
struct SlotTable {
  uint32_t slots = 0;
  uint32_t limit = 0;     // what the card said it holds when it said "full"; `slots` until then
  uint32_t occupied = 0;  // entries that are, or may be, in it
  int64_t free() const noexcept { return int64_t{limit} - occupied; }
};

class CardClass {
 public:
  explicit CardClass(AddressTable& table);
  ~CardClass();
  CardClass(const CardClass&) = delete;
  CardClass& operator=(const CardClass&) = delete;

  // Moves the card's cursor over at most a chunk of what is not newer than `target`, then `take_in`. Returns true when
  // nothing up to `target` is left.
  bool drain(uint64_t target) noexcept USERNIC_REQUIRES(addr_list_lock);
  // What was drained goes to the list where it belongs: without the lock, because its neighbours there may be far from
  // every cache. Returns true when some of it, which failed before or is not on the card, is left to `settle_drained`.
  bool take_in();
  void settle_drained() noexcept USERNIC_REQUIRES(addr_list_lock);

  // Moves an entry to a state, out of the parking lot if it was there.
  void move(AddressEntry& entry, CardState state);
  // Keeps an entry in its state until its retry is due (readers see when).
  void park(AddressEntry& entry, std::errc error, Time now) USERNIC_REQUIRES(addr_list_lock);
  // It works: no failure is left of it.
  static void worked(AddressEntry& entry) noexcept USERNIC_REQUIRES(addr_list_lock);
  // Puts what is due back among the entries to be dealt with.
  void wake_parked(Time now);
  Time next_due() const noexcept;
  void set_maybe(AddressEntry& entry, bool maybe) noexcept;
  // Where the card's hash has it. A driver that leaves its range is reported. Requires: there is a hash.
  uint32_t bucket(const MacAddress& address) const noexcept;

  CardList& list(CardState state) noexcept { return lists_[static_cast<size_t>(state)]; }
  uint32_t count(CardState state) const noexcept { return counts_[static_cast<size_t>(state)]; }
  uint32_t parked() const noexcept { return parked_; }
  uint32_t parked_wanted() const noexcept { return parked_wanted_; }
  // As drained / and without a slot of its own after this run.
  uint32_t wanted() const noexcept { return count(CardState::kTrying) + count(CardState::kExact) + outside(); }
  uint32_t outside() const noexcept { return count(CardState::kOver) + count(CardState::kEvict); }

  FilterLevel decide(bool promisc_ok, bool allmulti_ok) const noexcept;
  void set_level(FilterLevel level);
  // Would some wanted entry be deaf if only exact entries and the hash stayed on?
  bool uncovered_by_exact_and_hash() const noexcept;

  // The card is empty: a chunk of entries becomes absent, nothing is on it and nothing known of them. Those that stay
  // wanted (`close`: none does) are kept for `come_back`, which has them tried. Returns true when there are more.
  bool forget_chunk(bool close) USERNIC_REQUIRES(addr_list_lock);
  void come_back();

  template <class Visit>
  void for_each_wanted(Visit&& visit) const;

  AddressTable& table;
  Subscriber card;
  HashImage hash;
  FilterLevel level = FilterLevel::kExact;
  uint32_t slots_at_entry = 0;  // when the level became wide
  SlotTable* slots = nullptr;
  uint32_t (*bucket_of)(const void*, AddressClass, const MacAddress&) = nullptr;
  const void* driver = nullptr;
  Duration retry_first{};

 private:
  static constexpr size_t kParkingLots = 7;
  CardList& home(AddressEntry& entry) noexcept;
  void drained(AddressEntry& entry) noexcept USERNIC_REQUIRES(addr_list_lock);
  bool take_in(AddressEntry& entry) noexcept;
  void count_parked(const AddressEntry& entry, int by) noexcept;
  void leave(AddressEntry& entry) noexcept;
  void enter(AddressEntry& entry) noexcept;
  CardList* next_list() noexcept;

  boost::container::static_vector<AddressEntry*, AddressTable::kChunk> drained_;
  CardList forgotten_;
  std::array<CardList, kCardStates> lists_;  // kOver: those that may be promoted
  CardList refused_;                         // kOver, but the card does not take them
  std::array<CardList, kParkingLots> lots_;  // by retry delay, so each is in order of its due times
  std::array<uint32_t, kCardStates> counts_{};
  uint32_t parked_ = 0;  // in all lots
  uint32_t parked_wanted_ = 0;
};

template <class Visit>
void CardClass::for_each_wanted(Visit&& visit) const {
  const auto visit_all = [&visit](const CardList& list) {
    for (const AddressEntry& entry : list) {
      if (entry.state != CardState::kLeaving) visit(entry);
    }
  };
  for (const CardList& list : lists_) visit_all(list);
  visit_all(refused_);
  for (const CardList& lot : lots_) visit_all(lot);
}

}  // namespace usernic
