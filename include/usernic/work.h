// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: work items and workqueues.
//
// A Work is a function that somebody wants run soon in process context. Queueing coalesces: a pending item is queued
// once, and an item that is queued while it runs runs again. An item is never concurrent with itself. An item whose
// function throws std::bad_alloc runs again a little later.
//
// A Workqueue runs at most `max_active` items at once; with 1 it is ordered. Workers come from one elastic pool a Net:
// an item that sleeps for seconds delays only its own queue. A device's *lane* is an ordered queue that can be parked:
// no item starts, the running item's stop token is set, and `park` returns when the queue is idle. Parks are counted.
//
//   struct LinkPoller {  // looks at a PHY once a second, and at once after an interrupt
//     explicit LinkPoller(NetDevice& dev) : dev_(dev), look_([this] { look(); }, &dev) {}
//     ~LinkPoller() { look_.disable_sync(); }
//     void interrupt() noexcept USERNIC_NONBLOCKING { dev_.lane().move_to(look_, kAtOnce); }  // any context
//     void look() {  // process context; may sleep, should end when current_stop_token() says so
//       read_phy() ? dev_.carrier_on() : dev_.carrier_off();
//       dev_.lane().queue_at(look_, Clock::now() + std::chrono::seconds(1));
//     }
//     bool read_phy();
//     NetDevice& dev_;
//     Work look_;
//   };
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "usernic/device_ref.h"
#include "usernic/env.h"
#include "usernic/lock.h"

namespace usernic {

class Net;
struct Workqueue;
class WorkerPool;

inline constexpr Time kAtOnce = Time::min();

class Work {
 public:
  // The item holds a reference on `owner`, if there is one, while it is pending or running. Items of one function, made
  // at one place, are one lock class (docs/lockdep.md).
  template <class Body>
  requires std::invocable<Body&>
  explicit Work(Body&& body, NetDevice* owner = nullptr, Place where = Place::current())
      : Work(std::move_only_function<void()>(std::forward<Body>(body)), owner, &kKind<std::remove_cvref_t<Body>>,
             where) {}
  // Requires: neither pending nor running. The item's own function may destroy it, and touches neither the item nor its
  // captures afterwards; that is a report if the item is queued again, or somebody waits for it.
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  bool pending() const;  // queued or waiting for its time
  bool running() const;

  // Sleeps until the item has run, if it is pending or running now. False: it was idle [kernel: flush_work].
  bool flush(Place where = Place::current());
  // Takes a pending item back; a running one runs on. True: it was pending. It may be queued again at any time.
  // Context: any. [kernel: cancel_work]
  bool cancel() noexcept USERNIC_NONBLOCKING;
  // The same, but asks a running item to stop and sleeps until it has returned [kernel: cancel_work_sync].
  bool cancel_sync(Place where = Place::current());
  // `disable` is cancel, `disable_sync` is cancel_sync; both refuse queueing until as many `enable` calls. True: the
  // item was pending [kernel: disable_work, disable_work_sync]. `enable` is true when the item can be queued again.
  bool disable() noexcept USERNIC_NONBLOCKING;
  bool disable_sync(Place where = Place::current());
  bool enable(Place where = Place::current()) noexcept;

 private:
  friend struct Workqueue;
  friend struct Porting;
  friend class WorkerPool;
  friend class CurrentWork;
  template <class Body>
  static constexpr char kKind = 0;
  Work();  // to run on in the place of one that is destroyed
  Work(std::move_only_function<void()> body, NetDevice* owner, const void* kind, Place where);
  bool waits_for_itself(Place where) const;
  bool cancel_disabled(Place where);
  enum class State : uint8_t { kIdle, kWaiting, kPending, kRunning, kRunningAgain, kRunningLater };

  std::move_only_function<void()> body_;
  NetDevice* const owner_;
  const LockClass* const lock_class_;  // null: not checked
  StopSource stop_;
  // Of the queue that it was on last; null until it is queued. Set before `disabled_` is looked at.
  Atomic<WorkerPool*> pool_{nullptr};
  Atomic<const LockClass*> last_class_{nullptr};
  Atomic<bool> last_ordered_{false};
  Atomic<int> disabled_{0};
  // The rest is guarded by the pool's lock. The queue may be gone as soon as the item is idle.
  Workqueue* queue_ = nullptr;
  // kWaiting: for `due_`. kRunningAgain, kRunningLater: queued while running, for now or for `due_`.
  State state_ = State::kIdle;
  Time due_{};
  uint64_t sequence_ = 0;        // of the queueing, in its queue
  uint64_t again_sequence_ = 0;  // the same of the run that is owed, in kRunningAgain
  uint64_t started_ = 0, finished_ = 0;
  uint64_t withdrawn_ = 0;  // runs that were taken back
  int waiters_ = 0;
  DeviceRef ref_;
  boost::intrusive::list_member_hook<> queue_hook_;  // in its queue's pending or running list
  boost::intrusive::set_member_hook<> timer_hook_;   // while kWaiting
};

// The item that this thread runs, or null; and its stop token. Outside of items the token never stops.
Work* current_work() noexcept USERNIC_NONBLOCKING;
StopToken current_stop_token() noexcept USERNIC_NONBLOCKING;

struct Workqueue {
 public:
  static constexpr int kOrdered = 1;

  // Queues with one name up to its first digit, made at one place, are one lock class (docs/lockdep.md).
  Workqueue(Net& net, std::string name, int max_active, Place where = Place::current());
  // The core's. `dev`: whose lane it is.
  Workqueue(WorkerPool& pool, std::string name, int max_active, const LockClass* lock_class,
            const NetDevice* dev = nullptr);
  // Requires: no item pending or running.
  ~Workqueue();
  Workqueue(const Workqueue&) = delete;
  Workqueue& operator=(const Workqueue&) = delete;

  // False: the item was pending already, or is disabled. Context: any.
  bool queue(Work& work) noexcept USERNIC_NONBLOCKING;
  // Queues the item at `due`. False as above. An item that waits for a later time is moved forward to `due`. An item
  // may queue itself again.
  bool queue_at(Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  // The item runs at `due` (kAtOnce: now), be it earlier or later than before; a running item runs again then. True:
  // the item was pending. A disabled item is left alone [kernel: mod_delayed_work].
  bool move_to(Work& work, Time due) noexcept USERNIC_NONBLOCKING;

  // Sleeps until what was queued before the call has run / until nothing is queued or runs, whatever came meanwhile
  // [kernel: flush_workqueue, drain_workqueue].
  void flush(Place where = Place::current());
  void drain(Place where = Place::current());

  // No item starts between `park` and as many `unpark` calls. `park` sets the stop token of what runs and sleeps until
  // the queue is idle. Requires: rtnl and instance locks (IL) not held; not called from an item of this queue.
  void park(Place where = Place::current());
  void unpark(Place where = Place::current());  // one too many is a report
  int parks() const;                            // how many have parked it, or wait for that
  // Is this thread running an item of this queue, or inside a LaneGuard of it?
  bool is_current() const noexcept USERNIC_NONBLOCKING;

  const std::string& name() const noexcept { return name_; }
  bool ordered() const noexcept { return max_active_ == kOrdered; }
  // A running item and a park hold this class; who waits for the queue takes it. Null: not checked.
  const LockClass* lock_class() const noexcept { return lock_class_; }
  // The device whose lane it is, or null: for reports.
  const NetDevice* device() const noexcept { return dev_; }

 private:
  friend class Work;
  friend struct Porting;
  friend class WorkerPool;
  friend class LaneGuard;
  using Items = boost::intrusive::list<
      Work, boost::intrusive::member_hook<Work, boost::intrusive::list_member_hook<>, &Work::queue_hook_>>;

  WorkerPool& pool_;
  const std::string name_;
  const int max_active_;
  const LockClass* const lock_class_;
  const NetDevice* const dev_;
  // The rest is guarded by the pool's lock.
  Items pending_;
  Items running_;
  uint64_t next_sequence_ = 1;
  int parks_ = 0;
  WaitQueue done_;                                   // flush, cancel and park sleep here, and hear of no other queue
  int sleepers_ = 0;                                 // in `done_`
  boost::intrusive::list_member_hook<> ready_hook_;  // while an item can start
};

// Parks a queue for a scope; does nothing when this thread is running an item of it.
class LaneGuard {
 public:
  explicit LaneGuard(Workqueue& lane, Place where = Place::current());
  ~LaneGuard();
  LaneGuard(const LaneGuard&) = delete;
  LaneGuard& operator=(const LaneGuard&) = delete;

 private:
  friend struct Workqueue;
  const ReportsOn concerned_;
  Workqueue* parked_ = nullptr;
  LaneGuard* outer_ = nullptr;
};

}  // namespace usernic
// Explained best by: core/work/work_test.cc
