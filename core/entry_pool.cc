// SPDX-License-Identifier: Apache-2.0
#include "core/entry_pool.h"

namespace usernic {

void EntryPool::adopt(std::unique_ptr<Slab> slab) {
  for (AddressEntry& entry : slab->entries) give(entry);
  for (BucketSegment& segment : slab->segments) segments_.push_back(&segment);
  slabs_.push_back(std::move(slab));
}

BucketSegment* EntryPool::take_segment() noexcept {
  if (segments_.empty()) return nullptr;
  BucketSegment* segment = segments_.back();
  segments_.pop_back();
  return segment;
}

}  // namespace usernic
