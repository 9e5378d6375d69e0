// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a transmit queue.
//
// The stack sends a batch under the queue's xmit lock; the driver's start_xmit takes one frame after the other and
// rings the doorbell when `more` is false. A driver stops its queue *before* the ring is full and wakes it from TX
// completion. Between "is there room?" and "stop" a completion may slip in: `maybe_stop` stops, looks again, and
// starts again when there is room [kernel: netif_txq_maybe_stop]. A wake may come too often; the driver re-checks.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/lock.h"
#include "usernic/skb.h"
#include "usernic/stats.h"

namespace usernic {

struct NetDevice;

// What start_xmit says of a frame: kOk, the driver owns it; kBusy, it is untouched and stays with the caller; kDropped,
// the driver freed it unsent, and it counts as dropped. [kernel: NETDEV_TX_OK, NETDEV_TX_BUSY, NET_XMIT_DROP]
enum class NetdevTx : uint8_t { kOk, kBusy, kDropped };

struct TxQueue {
 public:
  TxQueue(NetDevice& dev, uint16_t index) noexcept;
  NetDevice& dev() const noexcept { return dev_; }
  uint16_t index() const noexcept { return index_; }

  // Context: any. `wake` also tells the port that there is room again; `start` only opens the queue.
  void stop(Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    stopped_at_.store(where, std::memory_order_relaxed);
    stops_.fetch_add(1, std::memory_order_relaxed);
    stopped_.store(true);
  }
  void start() noexcept USERNIC_NONBLOCKING { stopped_.store(false); }
  void wake() noexcept USERNIC_NONBLOCKING;
  bool stopped() const noexcept USERNIC_NONBLOCKING { return stopped_.load(); }

  // Stops the queue if `room()` is less than `needed`, with the re-check. Returns true when it stays stopped.
  // Requires: the xmit lock (that is: called from start_xmit).
  template <class Room>
  bool maybe_stop(Room&& room, uint32_t needed, Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    if (room() >= needed) return false;
    stop(where);
    if (room() < needed) return true;
    start();
    return false;
  }
  // From TX completion: wakes a stopped queue when `room()` is at least `needed`.
  template <class Room>
  void maybe_wake(Room&& room, uint32_t needed) noexcept USERNIC_NONBLOCKING {
    if (stopped() && room() >= needed) wake();
  }

  SpinLock& xmit_lock() noexcept { return xmit_lock_; }
  QueueCounters counters;

 private:
  friend struct NetDevice;
  friend struct Device;
  friend class XmitCheck;
  friend struct Porting;
  NetDevice& dev_;
  const uint16_t index_;
  SpinLock xmit_lock_;
  Atomic<int> level_{0};  // nesting level of the xmit lock: how many devices are above
  // Under the xmit lock.
  bool frozen_ = false;
  bool more_ = false;  // the frame in start_xmit is not the last of its batch
  SkbBatch below_;     // an upper device's: what waits for the last one (Device::send_below)
  NetDevice* below_to_ = nullptr;
  // On a line of its own: the poll thread looks at it at every completion, whatever the transmitter counts meanwhile.
  // Opened by the driver's open, closed again by the core at close.
  alignas(64) Atomic<bool> stopped_{true};
  // For who looks for mistakes: how often it was stopped and woken, and where it was stopped last.
  RawAtomic<uint32_t> stops_{0}, wakes_{0};
  RawAtomic<Place> stopped_at_{Place()};
};
static_assert(alignof(TxQueue) == 64 && sizeof(TxQueue) % 64 == 0, "nothing else is on that line");

}  // namespace usernic
// Explained best by: core/tx_queue_test.cc
