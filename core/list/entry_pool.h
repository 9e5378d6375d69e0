// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: memory for a device's address entries and hash buckets.
//
// Slabs are made and touched outside addr_list_lock and adopted under it, so that no page fault and no allocation
// happens in a hold. Entries go back to the pool; slabs live as long as the device.
#pragma once

#include <array>
#include <memory>
#include <new>

#include "core/list/address_entry.h"

namespace usernic {

// 512 chains of the index.
using BucketSegment = std::array<AddressEntry*, 512>;

class EntryPool {
 public:
  struct Slab {
    std::array<AddressEntry, AddressEntry::kInSlab> entries;
    std::array<CardEntry, AddressEntry::kInSlab> cards;
    std::array<BucketSegment, 2> segments{};
    size_t segments_taken = 0;
    std::unique_ptr<Slab> older;  // of all
    Slab* older_spare = nullptr;  // of those that have segments left
  };

  // Has a slab from the start. Throws std::bad_alloc.
  EntryPool();
  ~EntryPool();
  EntryPool(const EntryPool&) = delete;
  EntryPool& operator=(const EntryPool&) = delete;

  // Without the lock: construction touches every page. Null: there is no memory.
  static std::unique_ptr<Slab> make_slab() noexcept { return std::unique_ptr<Slab>(new (std::nothrow) Slab); }

  // The rest: under addr_list_lock.
  void adopt(std::unique_ptr<Slab> slab) noexcept;
  // Requires: free_entries() != 0.
  AddressEntry* take() noexcept {
    AddressEntry* const entry = free_;
    free_ = entry->hash_next;
    --free_count_;
    // The next one comes soon, and was given back long ago.
    if (free_ != nullptr) __builtin_prefetch(free_, 1);
    return entry;
  }
  void give(AddressEntry& entry) noexcept {
    entry.hash_next = free_;
    free_ = &entry;
    ++free_count_;
  }
  BucketSegment* take_segment() noexcept;
  size_t free_entries() const noexcept { return free_count_; }
  size_t bytes() const noexcept { return slab_count_ * sizeof(Slab); }

 private:
  std::unique_ptr<Slab> newest_;
  Slab* spare_ = nullptr;
  size_t slab_count_ = 0;
  AddressEntry* free_ = nullptr;  // linked by hash_next
  size_t free_count_ = 0;
};

}  // namespace usernic
