// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: how many octets a card should have to do at once: a limit that finds itself.
//
// With too small a limit the card runs dry between two completions. With too large a one, what is sent now waits behind
// much. So the limit grows by what was missing when the card ran dry while more was waiting, and shrinks by what was
// not needed for a second. [kernel: dynamic queue limits]
//
// One thread queues while another completes. Context: any. Locks: none.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

class ByteLimit {
 public:
  static constexpr uint32_t kMost = 1'879'048'192;  // [kernel: DQL_MAX_LIMIT]
  static constexpr Duration kHold = std::chrono::seconds(1);

  // By the thread that queues.
  void queued(uint32_t bytes) noexcept USERNIC_NONBLOCKING {
    last_.store(bytes, std::memory_order_relaxed);
    queued_.store(queued_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
  // Below 0: enough. Full is when one more would be too much, so a limit of 0 lets one through.
  int64_t room() const noexcept USERNIC_NONBLOCKING {
    return static_cast<int64_t>(may_queue_.load() - queued_.load(std::memory_order_relaxed));
  }

  // By the thread that completes. False: so much was not on its way; it counts as all there was.
  bool completed(uint64_t bytes, Time now) noexcept USERNIC_NONBLOCKING;
  // Nothing is on its way. The limit stays. Requires: alone.
  void forget_queued() noexcept USERNIC_NONBLOCKING;

  uint64_t in_flight() const noexcept USERNIC_NONBLOCKING { return queued_.load() - completed_.load(); }
  uint32_t limit() const noexcept USERNIC_NONBLOCKING { return limit_.load(std::memory_order_relaxed); }

 private:
  // Octets ever.
  Atomic<uint64_t> queued_{0};
  Atomic<uint32_t> last_{0};  // of the frame that was queued last
  Atomic<uint64_t> may_queue_{0};

  // Of who completes, as of the last time.
  Atomic<uint64_t> completed_{0};
  Atomic<uint32_t> limit_{0};
  uint64_t queued_before_ = 0;
  uint32_t over_before_ = 0;  // that was queued beyond the limit
  uint32_t last_before_ = 0;
  uint32_t least_slack_ = UINT32_MAX;
  Time slack_since_{};
};

}  // namespace usernic
// Explained best by: core/frame/byte_limit_test.cc
