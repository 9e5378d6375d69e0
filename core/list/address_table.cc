// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/address_table.h"

#include <bit>
#include <utility>

namespace usernic {

AddressTable::~AddressTable() USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  order_.clear();  // the entries are the pool's, the subscribers that nobody took back are ours
  for (Subscriber* subscriber : subscribers_) {
    if (subscriber != nullptr && subscriber->to != nullptr) delete subscriber;
  }
}

void AddressTable::set_refs(AddressEntry& entry, uint64_t refs) noexcept {
  const uint64_t before = std::exchange(entry.refs, refs);
  const int more = AddressEntry::referenced(refs) - AddressEntry::referenced(before);
  referenced_.store(referenced() + more, std::memory_order_relaxed);
  if ((refs != 0) == (before != 0)) return;
  const uint64_t generation = changes_.next_generation();
  if (entry.order_hook.is_linked()) order_.erase(order_.iterator_to(entry));
  if (refs == 0 && entry.told == 0) return free(entry);
  entry.generation = generation;
  order_.push_back(entry);
}

void AddressTable::set_own(const MacAddress& address, bool own) noexcept {
  AddressEntry& entry = find_or_make(address);
  set_refs(entry, (entry.refs & ~AddressEntry::kOwn) | (own ? AddressEntry::kOwn : 0));
}

// Requires: nobody wants it or was told of it; out of the change order.
void AddressTable::free(AddressEntry& entry) noexcept {
  index_.erase(entry);
  entry.generation = 0;
  pool_.give(entry);
}

void AddressTable::release(AddressEntry& entry, uint64_t bit) noexcept {
  entry.told &= ~bit;
  if (entry.told != 0 || entry.wanted()) return;
  if (entry.order_hook.is_linked()) order_.erase(order_.iterator_to(entry));
  free(entry);
}

bool AddressTable::subscribe(Subscriber& subscriber) noexcept {
  const int index = std::countr_one(subscriber_bits_);
  if (static_cast<size_t>(index) == kSubscribersMax) return false;
  subscriber.bit = uint64_t{1} << index;
  subscriber_bits_ |= subscriber.bit;
  subscribers_[index] = &subscriber;
  order_.push_front(subscriber);
  return true;
}

void AddressTable::rewind(Subscriber& subscriber) noexcept {
  order_.splice(order_.begin(), order_, order_.iterator_to(subscriber));
}

void AddressTable::unsubscribe(Subscriber& subscriber) noexcept {
  order_.erase(order_.iterator_to(subscriber));
  subscribers_[std::countr_zero(subscriber.bit)] = nullptr;
  subscriber_bits_ &= ~subscriber.bit;
  subscriber.bit = 0;
}

Subscriber* AddressTable::subscriber_of(const AddressTable& to) const noexcept {
  Subscriber* found = nullptr;
  for_each_subscriber([&](Subscriber& subscriber) {
    if (subscriber.to == &to) found = &subscriber;
  });
  return found;
}

const AddressEntry* AddressTable::next_entry(const AddressEntry* after) const noexcept {
  auto it = after != nullptr ? std::next(order_.iterator_to(*after)) : order_.begin();
  while (it != order_.end() && it->generation == 0) ++it;  // a cursor
  return it != order_.end() ? static_cast<const AddressEntry*>(&*it) : nullptr;
}

}  // namespace usernic
