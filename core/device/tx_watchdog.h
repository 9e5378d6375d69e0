// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: finds TX queues of a Net that stay stopped [kernel: dev_watchdog].
//
// It sleeps while no queue is stopped: whoever leaves one stopped arms it, and then it looks every so often, until it
// finds none. A queue is stuck when it was stopped once, and is still, NetdevConfig::watchdog later, on a device that
// is up, present and has carrier. That is said in the log, and the driver's tx_timeout is called with all queues
// frozen, again after as long.
//
// Locks: its own, after rtnl and IL, before the queues'.
#pragma once

#include <boost/intrusive/list.hpp>
#include <deque>
#include <string>

#include "usernic/tx_queue.h"
#include "usernic/work.h"

namespace usernic {

// A device, as the watchdog sees it.
class TxWatched {
 public:
  explicit TxWatched(Duration patience) noexcept : patience(patience) {}
  TxWatched(const TxWatched&) = delete;
  TxWatched& operator=(const TxWatched&) = delete;

  virtual std::deque<TxQueue>& queues() noexcept = 0;
  virtual bool sends() const noexcept = 0;     // present, and with carrier
  virtual bool recovers() const noexcept = 0;  // its driver wants to know, each time
  // What a queue is said to be: "is stopped for 5 s, at ...". Context: process.
  virtual void time_out(TxQueue& queue, const std::string& what) = 0;

  const Duration patience;
  boost::intrusive::list_member_hook<> hook;  // guarded by the watchdog's lock

 protected:
  ~TxWatched() = default;
};

class TxWatchdog {
 public:
  explicit TxWatchdog(Workqueue& system);
  ~TxWatchdog();

  // From when the driver has opened it, until it is asked to stop. After `forget` no tx_timeout runs. Context: process.
  void watch(TxWatched& watched) USERNIC_EXCLUDES(lock_);
  void forget(TxWatched& watched) USERNIC_EXCLUDES(lock_);

  // A queue is left stopped. Context: any.
  void arm() noexcept USERNIC_NONBLOCKING {
    if (!armed_.load(std::memory_order_relaxed)) [[unlikely]]
      start();
  }

 private:
  static constexpr Duration kPeriodMax = std::chrono::seconds(1);

  void start() noexcept USERNIC_NONBLOCKING;
  void look() USERNIC_EXCLUDES(lock_);
  bool look_at(TxWatched& watched, Time now) USERNIC_REQUIRES(lock_);
  void time_out(TxWatched& watched, TxQueue& queue, Time now) USERNIC_REQUIRES(lock_);

  static constexpr LockClass kClass{"tx_watchdog"};
  Mutex lock_{kClass};
  using List = boost::intrusive::list<
      TxWatched, boost::intrusive::member_hook<TxWatched, boost::intrusive::list_member_hook<>, &TxWatched::hook>>;
  List watched_ USERNIC_GUARDED_BY(lock_);
  Atomic<bool> armed_{false};
  RawAtomic<Duration::rep> period_{kPeriodMax.count()};  // from look to look: a quarter of the least patience
  Workqueue& system_;
  Work work_;
};

}  // namespace usernic
