// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/address_index.h"

#include <utility>

namespace usernic {

AddressIndex::AddressIndex(EntryPool& pool, uint64_t seed) : pool_(pool), seed_(seed) {
  segments_.reserve(512);  // 262,144 chains before the vector itself grows
  segments_.push_back(pool_.take_segment());
  found_ = &head(0);
}

// Without a spare segment the chains just stay a little longer until the next slab.
void AddressIndex::split_one() noexcept {
  const size_t twin = base_ + split_;
  if (twin / kSegmentBuckets == segments_.size()) {
    BucketSegment* segment = pool_.take_segment();
    if (segment == nullptr) return;
    segments_.push_back(segment);
  }
  AddressEntry* entry = std::exchange(head(split_), nullptr);
  head(twin) = nullptr;
  const size_t mask = 2 * base_ - 1;
  while (entry != nullptr) {
    AddressEntry* const next = entry->hash_next;
    AddressEntry*& first = head(hash(entry->key) & mask);
    entry->hash_next = first;
    first = entry;
    entry = next;
  }
  if (++split_ == base_) {
    base_ *= 2;
    split_ = 0;
  }
}

}  // namespace usernic
