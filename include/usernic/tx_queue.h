// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a transmit queue.
//
// The stack sends a batch under the queue's xmit lock. The driver's start_xmit takes one frame after the other and
// rings the doorbell when `more` is false. The driver stops its queue *before* the ring is full and wakes it from TX
// completion. A completion may come between the look for room and the stop: `maybe_stop` stops, looks again, and
// starts the queue when there is room now [kernel: netif_txq_maybe_stop]. There may be more wakes than needed.
//
//   struct Sender {
//     NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
//       const auto room = [this]() noexcept { return free_descriptors(); };
//       if (queue.maybe_stop(room, 1)) return NetdevTx::kBusy;  // the frame stays the sender's
//       const bool last = queue.sent(skb.size(), more);
//       write_descriptor(skb);
//       if (queue.maybe_stop(room, 1) || last) ring_doorbell();
//       return NetdevTx::kOk;
//     }
//     void tx_done(TxQueue& queue, uint32_t frames, uint64_t octets) noexcept USERNIC_NONBLOCKING {
//       queue.completed(frames, octets);
//       queue.maybe_wake([this]() noexcept { return free_descriptors(); }, 16);
//     }
//     uint32_t free_descriptors() const noexcept USERNIC_NONBLOCKING;
//     void write_descriptor(Skb& skb) noexcept USERNIC_NONBLOCKING, ring_doorbell() noexcept USERNIC_NONBLOCKING;
//   };
//
// Byte queue limits: a driver may tell of each frame when it goes to the card (`sent`) and when it is out
// (`completed`). Its queue is then stopped, too, while the card has enough to do. The core finds the limit by itself
// (byte_limit.h). [kernel: BQL]
//
// A queue that stays stopped for NetdevConfig::watchdog is a line in the log, and the driver's tx_timeout is called.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/byte_limit.h"
#include "usernic/lock.h"
#include "usernic/skb.h"
#include "usernic/stats.h"

namespace usernic {

struct NetDevice;

// What start_xmit answers. kOk: the driver owns the frame. kBusy: the frame is untouched and stays the caller's.
// kDropped: the driver freed the frame unsent, and it counts as dropped. kLocked, of an old driver whose own lock was
// taken: kBusy, and a report. [kernel: NETDEV_TX_OK, NETDEV_TX_BUSY, NET_XMIT_DROP; NETDEV_TX_LOCKED, until 4.8]
enum class NetdevTx : uint8_t { kOk, kBusy, kDropped, kLocked };

struct TxQueue {
 public:
  TxQueue(NetDevice& dev, uint16_t index) noexcept;
  NetDevice& dev() const noexcept { return dev_; }
  uint16_t index() const noexcept { return index_; }

  // Context: any. `wake` also tells the port that there is room again; `start` only opens the queue.
  void stop(Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    stopped_at_.store(where, std::memory_order_relaxed);
    stops_.fetch_add(1, std::memory_order_relaxed);
    stopped_.fetch_or(kByDriver);
  }
  void start() noexcept USERNIC_NONBLOCKING { stopped_.fetch_and(static_cast<uint8_t>(~kByDriver)); }
  void wake() noexcept USERNIC_NONBLOCKING;
  bool stopped() const noexcept USERNIC_NONBLOCKING { return (stopped_.load() & kByDriver) != 0; }
  // Stopped by the driver, by the limit of octets, or because frames wait for a lower device's queue: nothing is sent
  // now.
  bool xmit_stopped() const noexcept USERNIC_NONBLOCKING { return stopped_.load() != 0 || waits_below_.load(); }

  // `sent` is for start_xmit. True: ring the doorbell; this is the last frame, or no more come for now. `completed` is
  // for TX completion, by one thread at a time; more than was sent is a report. `forget_sent` is for a stop that throws
  // frames away: nothing is on its way any more. Requires: nobody is in the other two.
  // [kernel: __netdev_tx_sent_queue, netdev_tx_completed_queue, netdev_tx_reset_queue]
  bool sent(uint32_t bytes, bool more) noexcept USERNIC_NONBLOCKING {
    byte_limit_.queued(bytes);
    if (byte_limit_.room() < 0) [[unlikely]]
      stop_by_limit();
    return !more || xmit_stopped();
  }
  void completed(uint32_t frames, uint64_t bytes, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  void forget_sent() noexcept USERNIC_NONBLOCKING;
  const ByteLimit& byte_limit() const noexcept USERNIC_NONBLOCKING { return byte_limit_; }

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
  friend struct TxBelow;
  friend class XmitCheck;
  friend struct Porting;
  friend class TxWatchdog;
  enum : uint8_t { kByDriver = 1, kByLimit = 2 };
  void stop_by_limit() noexcept USERNIC_NONBLOCKING;

  NetDevice& dev_;
  const uint16_t index_;
  SpinLock xmit_lock_;
  Atomic<int> level_{0};  // nesting level of the xmit lock: how many devices are above
  // Under the xmit lock.
  bool frozen_ = false;
  bool more_ = false;  // the frame in start_xmit is not the last of its batch
  SkbBatch below_;     // an upper device's: what waits for the last one, or for room below (core/device/tx_below.h)
  NetDevice* below_to_ = nullptr;
  int32_t below_added_ = 0;  // octets that each frame there is longer than the upper was given it
  // On a line of its own: the poll thread looks at it at every completion, whatever the transmitter counts meanwhile.
  // Opened by the driver's open, closed again by the core at close.
  alignas(64) Atomic<uint8_t> stopped_{kByDriver};
  Atomic<bool> waits_below_{false};  // `below_` is what the lower's queue had no room for
  // For who looks for mistakes: how often it was stopped and woken, and where it was stopped last.
  RawAtomic<uint32_t> stops_{0}, wakes_{0};
  RawAtomic<Place> stopped_at_{Place()};
  Atomic<uint64_t> timeouts_{0};
  // The watchdog's: the stop that it has seen, and since when.
  uint32_t seen_stop_ = 0;
  bool told_ = false;
  Time seen_since_ = kForever;
  ByteLimit byte_limit_;
};
static_assert(alignof(TxQueue) == 64 && sizeof(TxQueue) % 64 == 0, "nothing else is on that line");

}  // namespace usernic
// Explained best by: core/frame/tx_queue_test.cc
