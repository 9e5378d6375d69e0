// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a device's unicast or multicast list, by itself: it knows no device. Everything in it: under addr_list_lock.
//
// The change order is a list of all entries, the newest effective change last. A *subscriber* (the card, a lower
// device) has a cursor in it; what stands behind the cursor is what it may not know yet. Draining moves the cursor over
// at most kChunk nodes a lock hold. A subscriber's bit in `AddressEntry::told` means "was told of it, and not of its
// end".
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "core/list/address_entry.h"
#include "core/list/address_index.h"
#include "core/list/change_count.h"
#include "core/list/entry_pool.h"
#include "usernic/device_handle.h"
#include "usernic/device_ref.h"
#include "usernic/rx_filter.h"

namespace usernic {

class AddressTable;

// Who hears of a list's changes: a cursor in its change order, and a bit.
struct Subscriber : OrderNode {
  uint64_t bit = 0;            // 0: does not subscribe
  AddressTable* to = nullptr;  // the lower device's list; null for the card, readers and links
  bool ending = false;         // being taken back by unsync
  MacAddress own;              // of sync: the upper's own address at the last step
  DeviceHandle to_dev;         // keeps it in memory
};

class AddressTable {
 public:
  static constexpr size_t kChunk = 64;           // nodes a lock hold
  static constexpr size_t kSubscribersMax = 64;  // the card is one of them
  static constexpr uint64_t kCardBit = 1;        // the card subscribes first

  AddressTable(ChangeCount& changes, EntryPool& pool, AddressClass address_class, uint64_t seed)
      : changes_(changes), pool_(pool), class_(address_class), index_(pool, seed) {}
  ~AddressTable();
  AddressTable(const AddressTable&) = delete;
  AddressTable& operator=(const AddressTable&) = delete;

  AddressClass address_class() const noexcept { return class_; }
  AddressIndex::Key key_of(const MacAddress& address) const noexcept { return index_.key_of(address.to_u64()); }
  AddressIndex::Key key_of(const AddressEntry& entry) const noexcept { return index_.key_of(entry.key); }

  AddressEntry* find(const AddressIndex::Key& key) const noexcept USERNIC_REQUIRES(addr_list_lock) {
    return index_.find(key);
  }
  AddressEntry* find(const MacAddress& address) const noexcept USERNIC_REQUIRES(addr_list_lock) {
    return find(key_of(address));
  }
  size_t entries() const noexcept USERNIC_REQUIRES(addr_list_lock) { return index_.size(); }
  // Those that somebody references, whether or not they are the own address. Without the lock, too.
  uint32_t referenced() const noexcept { return referenced_.load(std::memory_order_relaxed); }

  // Entry of `address`, made if need be. Requires: the pool is not empty.
  AddressEntry& find_or_make(const AddressIndex::Key& key) noexcept USERNIC_REQUIRES(addr_list_lock) {
    return index_.find_or_make(key);
  }
  AddressEntry& find_or_make(const MacAddress& address) noexcept USERNIC_REQUIRES(addr_list_lock) {
    return find_or_make(key_of(address));
  }
  // The entry's `refs` become `refs`. An effective change is stamped and goes to the end of the change order; an entry
  // that nobody wants or was told of is freed.
  void set_refs(AddressEntry& entry, uint64_t refs) noexcept USERNIC_REQUIRES(addr_list_lock);
  void set_own(const MacAddress& address, bool own) noexcept USERNIC_REQUIRES(addr_list_lock);

  // `subscriber` knows nothing yet: its cursor goes to the head. Returns false when there are kSubscribersMax.
  bool subscribe(Subscriber& subscriber) noexcept USERNIC_REQUIRES(addr_list_lock);
  // Requires: no entry has its bit.
  void unsubscribe(Subscriber& subscriber) noexcept USERNIC_REQUIRES(addr_list_lock);
  void rewind(Subscriber& subscriber) noexcept USERNIC_REQUIRES(addr_list_lock);
  // The subscriber at `to` of this list, or null.
  Subscriber* subscriber_of(const AddressTable& to) const noexcept USERNIC_REQUIRES(addr_list_lock);
  template <class Visit>
  void for_each_subscriber(Visit&& visit) const USERNIC_REQUIRES(addr_list_lock);

  // Does nothing stand behind the cursor?
  bool passed_all(const Subscriber& subscriber) const noexcept USERNIC_REQUIRES(addr_list_lock) {
    return std::next(order_.iterator_to(subscriber)) == order_.end();
  }
  // Moves the cursor over at most kChunk nodes not newer than `target`; calls visit(entry) for each entry passed.
  // Returns true when nothing up to `target` is left.
  template <class Visit>
  bool drain_chunk(Subscriber& subscriber, uint64_t target, Visit&& visit) USERNIC_REQUIRES(addr_list_lock);
  // The entry behind `after` in the change order, or the first one; null at the end.
  const AddressEntry* next_entry(const AddressEntry* after) const noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(addr_list_lock);
  // The subscriber was told of the end, or forgets that it was told.
  void release(AddressEntry& entry, uint64_t bit) noexcept USERNIC_REQUIRES(addr_list_lock);

  // A reader's cursor: it has no bit.
  void begin_read(Subscriber& cursor) const USERNIC_REQUIRES(addr_list_lock) { order_.push_front(cursor); }
  void end_read(Subscriber& cursor) const USERNIC_REQUIRES(addr_list_lock) { order_.erase(order_.iterator_to(cursor)); }
  template <class Visit>
  bool read_chunk(Subscriber& cursor, uint64_t target, Visit&& visit) const USERNIC_REQUIRES(addr_list_lock) {
    return const_cast<AddressTable*>(this)->drain_chunk(cursor, target, visit);
  }

 private:
  void free(AddressEntry& entry) noexcept USERNIC_REQUIRES(addr_list_lock);

  ChangeCount& changes_;
  EntryPool& pool_;
  const AddressClass class_;
  AddressIndex index_;
  mutable OrderList order_ USERNIC_GUARDED_BY(addr_list_lock);  // readers' cursors stand in it too
  Atomic<uint32_t> referenced_{0};                              // written under the lock
  uint64_t subscriber_bits_ = 0;
  std::array<Subscriber*, kSubscribersMax> subscribers_{};
};

template <class Visit>
void AddressTable::for_each_subscriber(Visit&& visit) const {
  for (uint64_t bits = subscriber_bits_; bits != 0; bits &= bits - 1) visit(*subscribers_[std::countr_zero(bits)]);
}

template <class Visit>
bool AddressTable::drain_chunk(Subscriber& subscriber, uint64_t target, Visit&& visit) {
  const auto cursor = order_.iterator_to(subscriber);
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

}  // namespace usernic
