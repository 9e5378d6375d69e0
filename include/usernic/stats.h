// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a queue counts, and what a device adds up.
//
// Counters are written by the queue's owner of the moment and folded when somebody reads [kernel: rtnl_link_stats64].
#pragma once

#include <cstdint>
#include <vector>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

struct QueueCounters {
  Atomic<uint64_t> packets{0};
  Atomic<uint64_t> bytes{0};
  Atomic<uint64_t> dropped{0};
  Atomic<uint64_t> too_long{0};  // of those dropped
  Atomic<uint64_t> off{0};       // of those dropped

  void add(uint64_t more_packets, uint64_t more_bytes) noexcept USERNIC_NONBLOCKING {
    packets.fetch_add(more_packets, std::memory_order_relaxed);
    bytes.fetch_add(more_bytes, std::memory_order_relaxed);
  }
  void drop(uint64_t more) noexcept USERNIC_NONBLOCKING { dropped.fetch_add(more, std::memory_order_relaxed); }
  void drop_off(uint64_t more) noexcept USERNIC_NONBLOCKING {
    drop(more);
    off.fetch_add(more, std::memory_order_relaxed);
  }
  void drop_too_long(uint64_t more) noexcept USERNIC_NONBLOCKING {
    drop(more);
    too_long.fetch_add(more, std::memory_order_relaxed);
  }
};

// A device's sums. A driver's `get_stats` adds what only the hardware knows. Each frame that came to the device is
// counted once: in rx_packets (handed up), rx_dropped, rx_errors, rx_filtered or rx_off. Each frame that was given to
// the device is counted in tx_packets or tx_dropped. A frame that was accepted and did not get out is in tx_errors,
// too.
struct LinkStats {
  uint64_t rx_packets = 0, rx_bytes = 0, rx_dropped = 0, rx_errors = 0;
  uint64_t tx_packets = 0, tx_bytes = 0, tx_dropped = 0, tx_errors = 0;
  uint64_t rx_too_long = 0, tx_too_long = 0;  // of those dropped, or in error: longer than an MTU allows
  uint64_t rx_missed = 0;                     // of those dropped: the card had no descriptor [kernel: rx_missed_errors]
  uint64_t tx_off = 0;                        // of those dropped: the device was down or absent, or had no carrier
  uint64_t rx_filtered = 0;                   // that the filter kept away: no loss
  uint64_t rx_off = 0;                        // that came while receiver or link were off
  uint64_t tx_timeouts = 0;                   // times that a queue was stopped for too long
  uint64_t rx_pause = 0, tx_pause = 0;  // times it had to wait, and made others wait [kernel: ethtool_pause_stats]
};

// What went through each of a device's queues.
struct QueueStats {
  struct Queue {
    uint64_t packets = 0, bytes = 0, dropped = 0;
  };
  std::vector<Queue> rx, tx;
};

}  // namespace usernic
