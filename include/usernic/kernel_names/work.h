// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: work items and delayed ones. Queues of one's own: workqueue.h.
//
// Return values are the kernel's. A function may free its own item with the struct around it, by `delete`: nobody may
// wait for it then. What a function may do, and when, is checked: docs/lockdep.md.
#pragma once

#include <optional>

#include "usernic/kernel_names/types.h"
#include "usernic/work.h"

namespace usernic::kernel_names {

struct work_struct;
using work_func_t = void (*)(work_struct*);

// A member of the struct that the work is about; its function finds that by container_of. Each INIT_WORK in the code is
// a class of its own for the lock checks, as in the kernel.
struct work_struct {
  work_func_t func = nullptr;
  std::optional<Work> work;

  Work* operator->() { return &*work; }
  using Running = Local<work_struct*, work_struct>;
  void run() {
    Running::get() = this;
    func(this);
    Running::get() = nullptr;  // `this` may be gone
  }
};
struct delayed_work {
  work_struct work;
};
inline delayed_work* to_delayed_work(work_struct* work) {
  return container_of_member(work, &delayed_work::work);
}
inline void INIT_WORK(work_struct* work, work_func_t func, Place where = Place::current()) {
  work->func = func;
  work->work.emplace([work] { work->run(); }, nullptr, where);
}
inline void INIT_DELAYED_WORK(delayed_work* dwork, work_func_t func, Place where = Place::current()) {
  INIT_WORK(&dwork->work, func, where);
}
inline bool work_pending(const work_struct* work) {
  return work->work->pending();
}
inline bool delayed_work_pending(const delayed_work* dwork) {
  return work_pending(&dwork->work);
}
inline constexpr unsigned WORK_BUSY_PENDING = 1, WORK_BUSY_RUNNING = 2;
inline unsigned work_busy(work_struct* work) {
  return (work_pending(work) ? WORK_BUSY_PENDING : 0) | ((*work)->running() ? WORK_BUSY_RUNNING : 0);
}
// The work_struct that this thread is running, or NULL.
inline work_struct* current_work() {
  return work_struct::Running::get();
}

inline Time time_after(unsigned long delay) {
  return delay == 0 ? kAtOnce : Clock::now() + duration_of(delay);
}
// False: it was pending already, even if for later, or is disabled.
inline bool queue_work(workqueue_struct* queue, work_struct* work) {
  return queue->queue_unless_pending(*work->work);
}
inline bool queue_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return queue->queue_unless_pending(*dwork->work.work, time_after(delay));
}
// True: it was pending, and has a new time.
inline bool mod_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return queue->move_to(*dwork->work.work, time_after(delay));
}
inline bool schedule_work(work_struct* work) {
  return queue_work(&init_net().system_workqueue(), work);
}
inline bool schedule_delayed_work(delayed_work* dwork, unsigned long delay) {
  return queue_delayed_work(&init_net().system_workqueue(), dwork, delay);
}

// True: it had not run.
inline bool flush_work(work_struct* work, Place where = Place::current()) {
  return (*work)->flush(where);
}
inline bool flush_delayed_work(delayed_work* dwork, Place where = Place::current()) {
  const bool waited = dwork->work->hurry();
  return dwork->work->flush(where) || waited;  // it may have run by now
}
// True: it was pending.
inline bool cancel_work(work_struct* work) {
  return (*work)->cancel();
}
inline bool cancel_work_sync(work_struct* work, Place where = Place::current()) {
  return (*work)->cancel_sync(where);
}
inline bool cancel_delayed_work(delayed_work* dwork) {
  return dwork->work->cancel();
}
inline bool cancel_delayed_work_sync(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->cancel_sync(where);
}
// Counted.
inline bool disable_work(work_struct* work) {
  return (*work)->disable();
}
inline bool disable_work_sync(work_struct* work, Place where = Place::current()) {
  return (*work)->disable_sync(where);
}
inline bool disable_delayed_work(delayed_work* dwork) {
  return dwork->work->disable();
}
inline bool disable_delayed_work_sync(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->disable_sync(where);
}
inline bool enable_work(work_struct* work, Place where = Place::current()) {
  return (*work)->enable(where);
}
inline bool enable_delayed_work(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->enable(where);
}

// True: it can be queued again, and was.
inline bool enable_and_queue_work(workqueue_struct* queue, work_struct* work) {
  if (!enable_work(work)) return false;
  (void)queue_work(queue, work);
  return true;
}

// At namespace scope or static: `static DECLARE_WORK(reset_work, reset);`
#define DECLARE_WORK(name, func)             \
  ::usernic::kernel_names::work_struct name; \
  [[maybe_unused]] static const bool name##_is_made = (::usernic::kernel_names::INIT_WORK(&name, func), true)
#define DECLARE_DELAYED_WORK(name, func)      \
  ::usernic::kernel_names::delayed_work name; \
  [[maybe_unused]] static const bool name##_is_made = (::usernic::kernel_names::INIT_DELAYED_WORK(&name, func), true)

}  // namespace usernic::kernel_names

#include "usernic/kernel_names/workqueue.h"
