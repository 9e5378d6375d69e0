// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/entry_pool.h"

#include <utility>

namespace usernic {

EntryPool::EntryPool() {
  auto slab = make_slab();
  if (slab == nullptr) throw std::bad_alloc();
  adopt(std::move(slab));
}

// One by one: a chain of slabs would destroy itself recursively.
EntryPool::~EntryPool() {
  while (newest_ != nullptr) newest_ = std::move(newest_->older);
}

void EntryPool::adopt(std::unique_ptr<Slab> slab) noexcept {
  for (AddressEntry& entry : slab->entries) give(entry);
  slab->older_spare = std::exchange(spare_, slab.get());
  slab->older = std::move(newest_);
  newest_ = std::move(slab);
  ++slab_count_;
}

BucketSegment* EntryPool::take_segment() noexcept {
  if (spare_ == nullptr) return nullptr;
  BucketSegment& segment = spare_->segments[spare_->segments_taken++];
  if (spare_->segments_taken == spare_->segments.size()) spare_ = spare_->older_spare;
  return &segment;
}

}  // namespace usernic
