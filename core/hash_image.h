// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the hash filter of one address class: who needs which bucket, and what the card has.
//
// `users` and `dirty` are the rx-mode work's own; `sure` and `maybe` are written under addr_list_lock. A bucket is
// dirty when its number of users crossed zero or its last command failed, so a run looks at what changed only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "usernic/env.h"

namespace usernic {

class HashImage {
 public:
  void configure(uint32_t buckets) {
    users_.assign(buckets, 0);
    sure.assign(buckets, false);
    maybe.assign(buckets, false);
    failed.assign(buckets, false);
    is_dirty_.assign(buckets, false);
    dirty_.clear();
    failed_count = attempts = 0;
    due = {};
  }
  uint32_t buckets() const noexcept { return static_cast<uint32_t>(users_.size()); }

  void use(uint32_t bucket) {
    if (users_[bucket]++ == 0) touch(bucket);
  }
  void unuse(uint32_t bucket) {
    if (--users_[bucket] == 0) touch(bucket);
  }
  bool used(uint32_t bucket) const noexcept { return users_[bucket] != 0; }

  // Have the next run look at a bucket / at all of them.
  void touch(uint32_t bucket) {
    if (is_dirty_[bucket]) return;
    is_dirty_[bucket] = true;
    dirty_.push_back(bucket);
  }
  void touch_all() {
    for (uint32_t bucket = 0; bucket < buckets(); ++bucket) touch(bucket);
  }
  bool has_dirty() const noexcept { return !dirty_.empty(); }
  std::vector<uint32_t> take_dirty() {
    for (uint32_t bucket : dirty_) is_dirty_[bucket] = false;
    return std::exchange(dirty_, {});
  }

  std::vector<bool> sure, maybe;  // under addr_list_lock
  std::vector<bool> failed;       // not tried again before `due`
  uint32_t failed_count = 0;
  uint32_t attempts = 0;
  Time due{};

 private:
  std::vector<uint32_t> users_;
  std::vector<bool> is_dirty_;
  std::vector<uint32_t> dirty_;
};

}  // namespace usernic
