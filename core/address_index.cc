// SPDX-License-Identifier: Apache-2.0
#include "core/address_index.h"

#include <utility>

namespace usernic {

AddressIndex::AddressIndex(EntryPool& pool, uint64_t seed) : pool_(pool), seed_(seed) {
  segments_.reserve(256);  // 131,072 chains before the vector itself grows
}

AddressEntry* AddressIndex::find(uint64_t key) const noexcept {
  if (size_ == 0) return nullptr;
  AddressEntry* entry = head(bucket_of(key));
  while (entry != nullptr && entry->key != key) entry = entry->hash_next;
  return entry;
}

void AddressIndex::insert(AddressEntry& entry) noexcept {
  if (segments_.empty()) segments_.push_back(pool_.take_segment());  // a pool with an entry has had two for each list
  AddressEntry*& first = head(bucket_of(entry.key));
  entry.hash_next = first;
  first = &entry;
  if (++size_ > base_ + split_) split_one();
}

void AddressIndex::erase(AddressEntry& entry) noexcept {
  AddressEntry** link = &head(bucket_of(entry.key));
  while (*link != &entry) link = &(*link)->hash_next;
  *link = entry.hash_next;
  entry.hash_next = nullptr;
  --size_;
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
