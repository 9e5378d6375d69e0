// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: from address to entry, in constant time and without a burst.
//
// Linear hashing: chains through the entries themselves, one chain split per insert, so that the table grows with its
// load and no insert ever rehashes everything. The hash is multiplicative with a random seed: addresses that come in
// patterns spread. It is no keyed hash: who knows it can make addresses that collide. Everything under addr_list_lock;
// memory comes from the device's EntryPool.
#pragma once

#include <vector>

#include "core/list/address_entry.h"
#include "core/list/entry_pool.h"

namespace usernic {

class AddressIndex {
 public:
  AddressIndex(EntryPool& pool, uint64_t seed);

  // An address ready to be looked for: worked out before the lock is taken, so that the hold is short.
  struct Key {
    uint64_t value;
    uint64_t hash;
  };
  Key key_of(uint64_t address) const noexcept { return {address, hash(address)}; }  // MacAddress::to_u64

  AddressEntry* find(const Key& key) const noexcept { return *(found_ = link_to(key)); }
  // The entry of `key`, taken from the pool if there is none. Requires: the pool is not empty.
  AddressEntry& find_or_make(const Key& key) noexcept {
    AddressEntry*& first = head(bucket_of(key.hash));
    if (AddressEntry* const known = *(found_ = link_to(first, key.value))) return *known;
    AddressEntry& entry = *pool_.take();
    entry.key = key.value;
    entry.hash_next = first;
    first = &entry;
    if (2 * ++size_ > base_ + split_) {
      split_one();
      split_one();
    }
    return entry;
  }
  void erase(AddressEntry& entry) noexcept {
    AddressEntry** const link = *found_ == &entry ? found_ : link_to(key_of(entry.key));
    *link = entry.hash_next;
    --size_;
  }
  size_t size() const noexcept { return size_; }

 private:
  static constexpr size_t kSegmentBuckets = std::tuple_size_v<BucketSegment>;

  uint64_t hash(uint64_t key) const noexcept {
    const uint64_t seeded = key ^ seed_;
    const uint64_t mixed = (seeded ^ seeded >> 32) * 0x9e37'79b9'7f4a'7c15;  // upper bits would only reach upper ones
    return mixed ^ mixed >> 32;
  }
  AddressEntry*& head(size_t bucket) const noexcept {
    return (*segments_[bucket / kSegmentBuckets])[bucket % kSegmentBuckets];
  }
  size_t bucket_of(uint64_t hash) const noexcept {
    const size_t bucket = hash & (base_ - 1);
    // No branch, which would be foretold badly; nor a borrow, which GCC hangs on what the lock's instruction left.
    const auto split = static_cast<size_t>(static_cast<ptrdiff_t>(bucket - split_) >> 63);
    return bucket | (hash & base_ & split);
  }
  // Where the entry of `key` hangs, or a null one would.
  static AddressEntry** link_to(AddressEntry*& first, uint64_t key) noexcept {
    AddressEntry** link = &first;
    while (*link != nullptr && (*link)->key != key) link = &(*link)->hash_next;
    return link;
  }
  AddressEntry** link_to(const Key& key) const noexcept { return link_to(head(bucket_of(key.hash)), key.value); }
  void split_one() noexcept;

  EntryPool& pool_;
  const uint64_t seed_;
  std::vector<BucketSegment*> segments_;
  size_t base_ = kSegmentBuckets;  // chains when this round of splitting began, a power of two
  size_t split_ = 0;               // the next chain to split; those before it have their twin at base_ + index
  size_t size_ = 0;
  // The link that the last search ended at: an entry is mostly erased right after it was found. It may be stale, but
  // only one link leads to an entry that is in a chain, and free entries lead to free ones.
  mutable AddressEntry** found_;
};

}  // namespace usernic
