// SPDX-License-Identifier: Apache-2.0
// core: the threads that run work items.
//
// One pool a Net, one lock for the state of all its items and queues; holds are a few list operations. A queue that
// can start an item stands in `ready_`; an idle worker takes the first one. The pool is elastic: a worker that starts
// an item while nobody is idle first makes another worker, so an item that sleeps for seconds delays only its own
// queue. Idle workers also keep the time for delayed items.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <list>

#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/work.h"

namespace usernic {

class WorkerPool {
 public:
  WorkerPool();
  // Requires: nothing queued.
  ~WorkerPool();

  bool queue(Workqueue& queue, Work& work) noexcept USERNIC_NONBLOCKING;
  bool queue_at(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  bool move_to(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING;
  bool hurry(Work& work) noexcept USERNIC_NONBLOCKING;
  bool cancel(Work& work) noexcept USERNIC_NONBLOCKING;
  bool flush(Work& work);
  void flush(Workqueue& queue);
  bool cancel_sync(Work& work);
  bool pending(const Work& work);
  void park(Workqueue& queue);
  void unpark(Workqueue& queue);
  int parks(const Workqueue& queue);
  // Before a queue goes: waits for those who still wake up in it. Returns false when there are items in it.
  bool leave(Workqueue& queue);
  // Is the item on an ordered queue, behind one that this thread runs or parked?
  bool blocked_by_me(const Work& work);

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

  void spawn() USERNIC_EXCLUDES(lock_);
  void work_loop(Worker& me);
  void run_one(Workqueue& queue) USERNIC_REQUIRES(lock_);
  void finish(Workqueue& queue, Work& work) USERNIC_REQUIRES(lock_);
  void fire_timers() USERNIC_REQUIRES(lock_);
  void make_pending(Workqueue& queue, Work& work, uint64_t sequence) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool may_queue(Workqueue& queue, Work& work) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void wait_done(Workqueue& queue) USERNIC_REQUIRES(lock_);
  void start_timer(Work& work, Time due) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void hold_owner(Work& work) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void update_ready(Workqueue& queue) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool withdraw(Work& work, DeviceRef& ref) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool queue_at_locked(Workqueue& queue, Work& work, Time due) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);

  SpinLock lock_;
  WaitQueue wanted_;  // idle workers sleep here
  Ready ready_ USERNIC_GUARDED_BY(lock_);
  Timers timers_ USERNIC_GUARDED_BY(lock_);
  std::list<Worker> workers_ USERNIC_GUARDED_BY(lock_);
  int idle_ USERNIC_GUARDED_BY(lock_) = 0;
  int starting_ USERNIC_GUARDED_BY(lock_) = 1;  // the constructor's
  bool stopping_ USERNIC_GUARDED_BY(lock_) = false;
};

}  // namespace usernic
