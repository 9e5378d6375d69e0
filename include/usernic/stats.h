// SPDX-License-Identifier: Apache-2.0
// usernic: what a queue counts, and what a device adds up.
//
// Counters are written by the queue's owner of the moment and folded when somebody reads [kernel: rtnl_link_stats64].
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

struct QueueCounters {
  Atomic<uint64_t> packets{0};
  Atomic<uint64_t> bytes{0};
  Atomic<uint64_t> dropped{0};

  void add(uint64_t more_packets, uint64_t more_bytes) noexcept USERNIC_NONBLOCKING {
    packets.fetch_add(more_packets, std::memory_order_relaxed);
    bytes.fetch_add(more_bytes, std::memory_order_relaxed);
  }
  void drop(uint64_t more) noexcept USERNIC_NONBLOCKING { dropped.fetch_add(more, std::memory_order_relaxed); }
};

// A device's sums. A driver's `get_stats` adds what only the hardware knows.
struct LinkStats {
  uint64_t rx_packets = 0, rx_bytes = 0, rx_dropped = 0, rx_errors = 0;
  uint64_t tx_packets = 0, tx_bytes = 0, tx_dropped = 0, tx_errors = 0;
};

}  // namespace usernic
