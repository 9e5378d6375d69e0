// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a device's unicast or multicast list, behind AddressList.
//
// The change order is a list of all entries, the newest effective change last. A *follower* (the card, a lower device)
// has a cursor in it; what stands behind the cursor is what it may not know yet. Draining moves the cursor over at
// most kChunk nodes a lock hold. A follower's bit in `AddressEntry::held` means "was told of it, and not of its end".
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "core/address_entry.h"
#include "core/address_index.h"
#include "core/entry_pool.h"
#include "usernic/address_list.h"
#include "usernic/device_ref.h"
#include "usernic/lock.h"
#include "usernic/rx_filter.h"

namespace usernic {

class Wanted;
class AddressTable;

// One entry as a reader copies it under the lock.
struct EntryView {
  MacAddress address;
  uint64_t references;
  bool wanted;
  bool held;    // the card was told of it
  bool sure;    // held exactly
  bool covers;  // and not about to be taken off
  uint16_t attempts;
  std::errc error;
  uint32_t bucket;
  Time due;
};

// Who follows a list: a cursor in its change order, and a bit.
struct Follower : OrderNode {
  uint64_t bit = 0;            // 0: does not follow
  AddressTable* to = nullptr;  // the lower device's list; null for the card, readers and links
  bool ending = false;         // being taken back by unsync
  MacAddress own;              // of sync: the upper's own address at the last step
  DeviceHandle to_dev;         // keeps it in memory
};

class AddressTable final : public AddressList {
 public:
  static constexpr size_t kChunk = 64;         // nodes a lock hold
  static constexpr size_t kFollowersMax = 64;  // the card is one of them
  static constexpr uint64_t kCardBit = 1;      // the card follows first

  AddressTable(Wanted& wanted, EntryPool& pool, AddressClass address_class, uint64_t seed);
  ~AddressTable();

  static AddressTable& of(AddressList& list) noexcept { return static_cast<AddressTable&>(list); }
  static const AddressTable& of(const AddressList& list) noexcept { return static_cast<const AddressTable&>(list); }

  AddressClass address_class() const noexcept { return class_; }
  Wanted& wanted() const noexcept { return wanted_; }
  AddressIndex::Key key_of(const MacAddress& address) const noexcept { return index_.key_of(address.to_u64()); }
  AddressIndex::Key key_of(const AddressEntry& entry) const noexcept { return index_.key_of(entry.key); }

  // Everything below: under addr_list_lock.
  AddressEntry* find(const AddressIndex::Key& key) const noexcept { return index_.find(key); }
  AddressEntry* find(const MacAddress& address) const noexcept { return find(key_of(address)); }
  size_t entries() const noexcept { return index_.size(); }
  // Those that somebody references, whether or not they are the own address. Without the lock, too.
  uint32_t referenced() const noexcept { return referenced_.load(std::memory_order_relaxed); }

  // Entry of `address`, made if need be. Requires: the pool is not empty.
  AddressEntry& find_or_make(const AddressIndex::Key& key) noexcept { return index_.find_or_make(key); }
  AddressEntry& find_or_make(const MacAddress& address) noexcept { return find_or_make(key_of(address)); }
  // The entry's `refs` become `refs`. An effective change is stamped and goes to the end of the change order; an entry
  // that nobody wants or was told of is freed.
  void set_refs(AddressEntry& entry, uint64_t refs) noexcept;
  void set_own(const MacAddress& address, bool own) noexcept;

  // `follower` knows nothing yet: its cursor goes to the head. Returns false when there are kFollowersMax.
  bool follow(Follower& follower) noexcept;
  // Requires: no entry has its bit.
  void unfollow(Follower& follower) noexcept;
  void rewind(Follower& follower) noexcept;
  // The follower at `to` of this list, or null.
  Follower* follower_of(const AddressTable& to) const noexcept;
  template <class Visit>
  void for_each_follower(Visit&& visit) const;

  // Does nothing stand behind the cursor?
  bool passed_all(const Follower& follower) const noexcept {
    return std::next(order_.iterator_to(follower)) == order_.end();
  }
  // Moves the cursor over at most kChunk nodes not newer than `target`; calls visit(entry) for each entry passed.
  // Returns true when nothing up to `target` is left.
  template <class Visit>
  bool drain_chunk(Follower& follower, uint64_t target, Visit&& visit);
  // The entry behind `after` in the change order, or the first one; null at the end.
  const AddressEntry* next_entry(const AddressEntry* after) const noexcept USERNIC_NONBLOCKING;
  // The follower was told of the end, or forgets that it was told.
  void release(AddressEntry& entry, uint64_t bit) noexcept;

  // Without the lock: visits a copy of every entry that does not change meanwhile, in chunks. An entry that does may be
  // missed or come out as it was.
  template <class Visit>
  void read(Visit&& visit) const;

 private:
  uint64_t begin_read(Follower& cursor) const;
  void end_read(Follower& cursor) const;
  bool read_chunk(Follower& cursor, uint64_t target, std::array<EntryView, kChunk>& views, size_t& count) const;
  void free(AddressEntry& entry) noexcept;

  Wanted& wanted_;
  EntryPool& pool_;
  const AddressClass class_;
  AddressIndex index_;
  mutable OrderList order_;         // readers' cursors stand in it too
  Atomic<uint32_t> referenced_{0};  // written under the lock
  uint64_t follower_bits_ = 0;
  std::array<Follower*, kFollowersMax> followers_{};
};

template <class Visit>
void AddressTable::for_each_follower(Visit&& visit) const {
  for (uint64_t bits = follower_bits_; bits != 0; bits &= bits - 1) visit(*followers_[std::countr_zero(bits)]);
}

template <class Visit>
bool AddressTable::drain_chunk(Follower& follower, uint64_t target, Visit&& visit) {
  const auto cursor = order_.iterator_to(follower);
  auto next = std::next(cursor);
  size_t passed = 0;
  for (; next != order_.end() && passed < kChunk; ++passed) {
    OrderNode& node = *next;
    if (node.generation > target) break;
    ++next;  // the visit may free the entry
    if (node.generation != 0) visit(static_cast<AddressEntry&>(node));
  }
  if (passed != 0) order_.splice(next, order_, cursor);
  return next == order_.end() || next->generation > target;
}

template <class Visit>
void AddressTable::read(Visit&& visit) const {
  std::array<EntryView, kChunk> views;
  Follower cursor;
  const uint64_t target = begin_read(cursor);
  for (bool last = false; !last;) {
    size_t count = 0;
    last = read_chunk(cursor, target, views, count);
    for (size_t i = 0; i < count; ++i) visit(views[i]);
  }
  end_read(cursor);
}

}  // namespace usernic
