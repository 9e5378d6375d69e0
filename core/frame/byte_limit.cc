// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/byte_limit.h"

#include <algorithm>

namespace usernic {
namespace {

uint32_t excess(uint64_t much, uint64_t little) noexcept USERNIC_NONBLOCKING {
  return much > little ? static_cast<uint32_t>(std::min<uint64_t>(much - little, UINT32_MAX)) : 0;
}

}  // namespace

bool ByteLimit::completed(uint64_t bytes, Time now) noexcept {
  const uint64_t queued = queued_.load();
  const uint64_t before = completed_.load();
  const bool possible = bytes <= queued - before;
  const uint64_t done = possible ? before + bytes : queued;
  const uint32_t last = last_.load(std::memory_order_relaxed);
  uint32_t limit = limit_.load(std::memory_order_relaxed);

  const bool all_of_before = done >= queued_before_;
  const uint32_t over = excess(queued - before, limit);
  const bool ran_dry = (over != 0 && queued == done) || (over_before_ != 0 && all_of_before);
  const bool was_busy = queued != done && queued_before_ != before && !all_of_before;
  bool changed = false;
  if (ran_dry) {
    // It did what there was, and was given no more: the limit kept it short.
    limit =
        static_cast<uint32_t>(std::min<uint64_t>(kMost, uint64_t{limit} + excess(done, queued_before_) + over_before_));
    changed = true;
  } else if (was_busy) {
    // It never ran dry. What it did in two such times was needed, and so was the frame that went beyond the limit.
    const uint32_t unneeded = excess(uint64_t{limit} + over_before_, 2 * (done - before));
    const uint32_t last_part = over_before_ != 0 ? excess(last_before_, over_before_) : 0;
    least_slack_ = std::min(least_slack_, std::max(unneeded, last_part));
    if (now - slack_since_ > kHold) {
      limit = excess(limit, least_slack_);
      changed = true;
    }
  }
  if (changed) {
    least_slack_ = UINT32_MAX;
    slack_since_ = now;
  }
  over_before_ = changed ? 0 : over;
  last_before_ = last;
  queued_before_ = queued;
  limit_.store(limit, std::memory_order_relaxed);
  completed_.store(done);
  may_queue_.store(done + limit);
  return possible;
}

void ByteLimit::forget_queued() noexcept {
  const uint64_t queued = queued_.load();
  completed_.store(queued);
  may_queue_.store(queued + limit_.load(std::memory_order_relaxed));
  queued_before_ = queued;
  over_before_ = last_before_ = 0;
  least_slack_ = UINT32_MAX;
}

}  // namespace usernic
