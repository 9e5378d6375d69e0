// SPDX-License-Identifier: Apache-2.0
// core: from address to entry, in constant time and without a burst.
//
// Linear hashing: chains through the entries themselves, one chain split per insert, so that the table grows with its
// load and no insert ever rehashes everything. The hash is multiplicative with a random seed: nobody outside chooses
// addresses that collide. Everything under addr_list_lock; memory comes from the device's EntryPool.
#pragma once

#include <vector>

#include "core/address_entry.h"
#include "core/entry_pool.h"

namespace usernic {

class AddressIndex {
 public:
  AddressIndex(EntryPool& pool, uint64_t seed);

  AddressEntry* find(uint64_t key) const noexcept;
  // Requires: no entry of that key.
  void insert(AddressEntry& entry) noexcept;
  void erase(AddressEntry& entry) noexcept;
  size_t size() const noexcept { return size_; }

 private:
  static constexpr size_t kSegmentBuckets = std::tuple_size_v<BucketSegment>;

  uint64_t hash(uint64_t key) const noexcept {
    const uint64_t mixed = (key ^ seed_) * 0x9e37'79b9'7f4a'7c15;
    return mixed ^ mixed >> 32;
  }
  AddressEntry*& head(size_t bucket) const noexcept {
    return (*segments_[bucket / kSegmentBuckets])[bucket % kSegmentBuckets];
  }
  size_t bucket_of(uint64_t key) const noexcept {
    const uint64_t h = hash(key);
    const size_t bucket = h & (base_ - 1);
    return bucket < split_ ? h & (2 * base_ - 1) : bucket;
  }
  void split_one() noexcept;

  EntryPool& pool_;
  const uint64_t seed_;
  std::vector<BucketSegment*> segments_;
  size_t base_ = kSegmentBuckets;  // chains when this round of splitting began, a power of two
  size_t split_ = 0;               // the next chain to split; those before it have their twin at base_ + index
  size_t size_ = 0;
};

}  // namespace usernic
