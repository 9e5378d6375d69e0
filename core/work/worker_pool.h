// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the threads that run work items.
//
// One pool a Net, one lock for the state of all its items and queues; holds are a few list operations. A queue that
// can start an item stands in `ready_`; an idle worker takes the first one. A thread of the pool's own, the keeper,
// runs no items: it keeps the time for delayed ones, and makes another worker whenever nobody is idle, so an item that
// sleeps for seconds delays only its own queue. A machine that refuses a thread is asked again and again; what is ready
// waits until it grants one, or until a worker is done.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <list>
#include <memory>

#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/long_wait.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {

class WorkerPool {
 public:
  WorkerPool();  // throws when the machine refuses even the keeper and one worker
  // Requires: nothing queued.
  ~WorkerPool();

  bool queue(Workqueue& queue, Work& work) noexcept USERNIC_NONBLOCKING;
  bool queue_at(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  bool queue_unless_pending(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  bool move_to(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  bool hurry(Work& work) noexcept USERNIC_NONBLOCKING;
  bool cancel(Work& work) noexcept USERNIC_NONBLOCKING;
  bool flush(Work& work, Place where);
  void flush(Workqueue& queue, Place where);
  void drain(Workqueue& queue, Place where);
  bool cancel_sync(Work& work, Place where);
  bool pending(const Work& work);
  bool running(const Work& work);
  void park(Workqueue& queue, Place where);
  bool unpark(Workqueue& queue);  // false: it was not parked
  int parks(const Workqueue& queue);
  // Before a queue goes: waits for those who still wake up in it. Returns false when there are items in it.
  bool leave(Workqueue& queue);
  // Is the item on an ordered queue, behind one that this thread runs or parked?
  bool blocked_by_me(const Work& work);
  // The item's own function destroys it: another one runs on in its place. Null: somebody waits for it, or it is to run
  // again.
  std::unique_ptr<Work> stand_in_for(Work& work);

 private:
  struct Worker {
    Thread thread;
    bool retired = false;
  };
  struct Earlier {
    bool operator()(const Work& a, const Work& b) const noexcept { return a.due_ < b.due_; }
  };
  using Ready =
      boost::intrusive::list<Workqueue, boost::intrusive::member_hook<Workqueue, boost::intrusive::list_member_hook<>,
                                                                      &Workqueue::ready_hook_>>;
  using Timers = boost::intrusive::multiset<
      Work, boost::intrusive::member_hook<Work, boost::intrusive::set_member_hook<>, &Work::timer_hook_>,
      boost::intrusive::compare<Earlier>>;

  void stop();
  void keep();
  std::errc spawn() USERNIC_EXCLUDES(lock_);
  void bury_retired() USERNIC_EXCLUDES(lock_);
  void work_loop(Worker& me);
  void run_one(Workqueue& queue) USERNIC_REQUIRES(lock_);
  void finish(Workqueue& queue, Work& work, std::unique_ptr<Work> stand_in) USERNIC_REQUIRES(lock_);
  void fire_timers() USERNIC_REQUIRES(lock_);
  void make_pending(Workqueue& queue, Work& work, uint64_t sequence) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool may_queue(Workqueue& queue, Work& work) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void wait_done(Workqueue& queue, LongWait& wait) USERNIC_REQUIRES(lock_);
  void wait_done(Work& work, LongWait& wait) USERNIC_REQUIRES(lock_);
  static std::string what_runs(const void* queue);
  void start_timer(Work& work, Time due) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void hold_owner(Work& work) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void update_ready(Workqueue& queue) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool withdraw(Work& work, DeviceRef& ref) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool queue_locked(Workqueue& queue, Work& work) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool queue_at_locked(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);

  SpinLock lock_;
  WaitQueue wanted_;  // idle workers sleep here
  WaitQueue awaken_;  // the keeper sleeps here
  Ready ready_ USERNIC_GUARDED_BY(lock_);
  Timers timers_ USERNIC_GUARDED_BY(lock_);
  std::list<Worker> workers_ USERNIC_GUARDED_BY(lock_);
  int idle_ USERNIC_GUARDED_BY(lock_) = 0;
  int starting_ USERNIC_GUARDED_BY(lock_) = 1;   // owed, or made and not come yet; at first the only one
  bool owed_ USERNIC_GUARDED_BY(lock_) = false;  // the keeper is to make one
  bool stopping_ USERNIC_GUARDED_BY(lock_) = false;
  Thread keeper_;
};

}  // namespace usernic
