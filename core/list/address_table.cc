// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/address_table.h"

#include <bit>
#include <utility>

namespace usernic {

AddressTable::~AddressTable() USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  order_.clear();  // the entries are the pool's, the followers that nobody took back are ours
  for (Follower* follower : followers_) {
    if (follower != nullptr && follower->to != nullptr) delete follower;
  }
}

void AddressTable::set_refs(AddressEntry& entry, uint64_t refs) noexcept {
  const uint64_t before = std::exchange(entry.refs, refs);
  const int more = AddressEntry::referenced(refs) - AddressEntry::referenced(before);
  referenced_.store(referenced() + more, std::memory_order_relaxed);
  if ((refs != 0) == (before != 0)) return;
  const uint64_t generation = changes_.next_generation();
  if (entry.order_hook.is_linked()) order_.erase(order_.iterator_to(entry));
  if (refs == 0 && entry.held == 0) return free(entry);
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
  entry.held &= ~bit;
  if (entry.held != 0 || entry.wanted()) return;
  if (entry.order_hook.is_linked()) order_.erase(order_.iterator_to(entry));
  free(entry);
}

bool AddressTable::follow(Follower& follower) noexcept {
  const int index = std::countr_one(follower_bits_);
  if (static_cast<size_t>(index) == kFollowersMax) return false;
  follower.bit = uint64_t{1} << index;
  follower_bits_ |= follower.bit;
  followers_[index] = &follower;
  order_.push_front(follower);
  return true;
}

void AddressTable::rewind(Follower& follower) noexcept {
  order_.splice(order_.begin(), order_, order_.iterator_to(follower));
}

void AddressTable::unfollow(Follower& follower) noexcept {
  order_.erase(order_.iterator_to(follower));
  followers_[std::countr_zero(follower.bit)] = nullptr;
  follower_bits_ &= ~follower.bit;
  follower.bit = 0;
}

Follower* AddressTable::follower_of(const AddressTable& to) const noexcept {
  Follower* found = nullptr;
  for_each_follower([&](Follower& follower) {
    if (follower.to == &to) found = &follower;
  });
  return found;
}

const AddressEntry* AddressTable::next_entry(const AddressEntry* after) const noexcept {
  auto it = after != nullptr ? std::next(order_.iterator_to(*after)) : order_.begin();
  while (it != order_.end() && it->generation == 0) ++it;  // a cursor
  return it != order_.end() ? static_cast<const AddressEntry*>(&*it) : nullptr;
}

}  // namespace usernic
