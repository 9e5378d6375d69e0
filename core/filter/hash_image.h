// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the hash filter of one address class: who needs which bucket, and what the card has.
//
// A bucket is dirty when its number of users crossed zero or its last command failed, so a run looks at what changed
// only. `sure` is what readers see; the rest is the rx-mode work's own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/filter/outcome.h"
#include "core/list/retry.h"
#include "core/lock/addr_list_lock.h"

namespace usernic {

class HashImage {
 public:
  void configure(uint32_t buckets) USERNIC_REQUIRES(addr_list_lock) {
    users_.assign(buckets, 0);
    sure_.assign(buckets, false);
    maybe_.assign(buckets, false);
    failed_.assign(buckets, false);
    is_dirty_.assign(buckets, false);
    dirty_.clear();
    failed_count_ = 0;
    retry_.clear();
    refused_ = false;
  }
  uint32_t buckets() const noexcept { return static_cast<uint32_t>(users_.size()); }
  // Has the card one that it does not refuse?
  bool usable() const noexcept { return buckets() != 0 && !refused_; }

  void use(uint32_t bucket) {
    if (users_[bucket]++ == 0) touch(bucket);
  }
  void unuse(uint32_t bucket) {
    if (--users_[bucket] == 0) touch(bucket);
  }

  // Have the next plan look at a bucket / at all of them.
  void touch(uint32_t bucket) {
    if (is_dirty_[bucket]) return;
    is_dirty_[bucket] = true;
    dirty_.push_back(bucket);
  }
  void touch_all() {
    for (uint32_t bucket = 0; bucket < buckets(); ++bucket) touch(bucket);
  }
  bool has_dirty() const noexcept { return !dirty_.empty(); }

  // What failed is tried again once its time has come.
  void wake(Time now);
  void make_due() noexcept { retry_.make_due(); }
  // Calls set(bucket) for what is to be set now, and clear(bucket) for what is to be cleared once nobody needs it. A
  // bucket that still carries an entry is never cleared; `fill`: those that have users are to be set.
  template <class Set, class Clear>
  void plan(bool fill, Set&& set, Clear&& clear);
  // Returns true when something else has to carry what it was for.
  bool answer(uint32_t bucket, bool set, Outcome outcome, Duration retry_first, Time now)
      USERNIC_REQUIRES(addr_list_lock);
  // What was on its way when the card forgot is there perhaps.
  void doubt(uint32_t bucket) {
    maybe_[bucket] = true;
    touch(bucket);
  }

  bool all_well() const noexcept { return failed_count_ == 0; }
  bool waits(Time now) const noexcept { return retry_.waits(now); }
  Time due() const noexcept { return failed_count_ != 0 ? retry_.due() : kForever; }
  bool sure(uint32_t bucket) const noexcept USERNIC_REQUIRES(addr_list_lock) { return sure_[bucket]; }
  bool maybe(uint32_t bucket) const noexcept { return maybe_[bucket]; }

 private:
  bool own_sure(uint32_t bucket) const noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS { return sure_[bucket]; }

  std::vector<bool> sure_ USERNIC_GUARDED_BY(addr_list_lock);
  std::vector<bool> maybe_;
  std::vector<bool> failed_;  // not tried again before its time
  uint32_t failed_count_ = 0;
  Retry retry_;
  bool refused_ = false;
  std::vector<uint32_t> users_;
  std::vector<bool> is_dirty_;
  std::vector<uint32_t> dirty_;
};

inline void HashImage::wake(Time now) {
  if (failed_count_ == 0 || retry_.waits(now)) return;
  for (uint32_t bucket = 0; bucket < buckets(); ++bucket) {
    if (failed_[bucket]) touch(bucket);
  }
  std::fill(failed_.begin(), failed_.end(), false);
  failed_count_ = 0;
}

template <class Set, class Clear>
void HashImage::plan(bool fill, Set&& set, Clear&& clear) {
  for (uint32_t bucket : dirty_) is_dirty_[bucket] = false;
  for (uint32_t bucket : std::exchange(dirty_, {})) {
    if (failed_[bucket]) continue;
    if (users_[bucket] == 0) {
      if (maybe_[bucket]) clear(bucket);
    } else if (fill && !own_sure(bucket)) {
      set(bucket);
    }
  }
}

inline bool HashImage::answer(uint32_t bucket, bool set, Outcome outcome, Duration retry_first, Time now) {
  if (outcome == Outcome::kDone) {
    sure_[bucket] = maybe_[bucket] = set;
    if (failed_count_ == 0) retry_.clear();
    return false;
  }
  touch(bucket);
  const bool refused = set && outcome == Outcome::kRefused;
  if (refused) {
    refused_ = true;
    return true;
  }
  set ? maybe_[bucket] = true : sure_[bucket] = false;  // R4
  if (outcome == Outcome::kStopped) return false;
  if (failed_count_ == 0) retry_.failed(retry_first, now);  // a plan with failures counts once
  if (!failed_[bucket]) ++failed_count_;
  failed_[bucket] = true;
  return false;
}

}  // namespace usernic
