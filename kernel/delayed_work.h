// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: delayed work items. What they share with others: work.h.
//
// A delay is in jiffies, which are milliseconds; with none an item stands in line like any other. Every timer is
// exact, so a deferrable item is one like these.
#pragma once

#include "kernel/types.h"
#include "kernel/work.h"
#include "usernic/work.h"

namespace usernic::kernel {

struct delayed_work {
  work_struct work;
};
inline delayed_work* to_delayed_work(work_struct* work) {
  return container_of_member(work, &delayed_work::work);
}
inline void INIT_DELAYED_WORK(delayed_work* dwork, work_func_t func, Place where = Place::current()) {
  INIT_WORK(&dwork->work, func, where);
}
inline void INIT_DELAYED_WORK_ONSTACK(delayed_work* dwork, work_func_t func, Place where = Place::current()) {
  INIT_WORK(&dwork->work, func, where);
}
inline void INIT_DEFERRABLE_WORK(delayed_work* dwork, work_func_t func, Place where = Place::current()) {
  INIT_WORK(&dwork->work, func, where);
}
inline void destroy_delayed_work_on_stack(delayed_work*) {}
// At namespace scope or static, like DECLARE_WORK.
#define DECLARE_DELAYED_WORK(name, func) \
  ::usernic::kernel::delayed_work name;  \
  [[maybe_unused]] static const bool name##_is_made = (::usernic::kernel::INIT_DELAYED_WORK(&name, func), true)
#define DECLARE_DEFERRABLE_WORK(name, func) DECLARE_DELAYED_WORK(name, func)

// It waits for its time, or stands in line.
inline bool delayed_work_pending(const delayed_work* dwork) {
  return work_pending(&dwork->work);
}

inline Time time_after(unsigned long delay) {
  return delay == 0 ? kAtOnce : Clock::now() + duration_of(delay);
}
// False: it was pending already, and keeps its time, or is disabled.
inline bool queue_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return Porting::queue_unless_pending(*queue, *dwork->work.work, time_after(delay));
}
// True: it was pending, and has a new time.
inline bool mod_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return queue->move_to(*dwork->work.work, time_after(delay));
}
inline bool schedule_delayed_work(delayed_work* dwork, unsigned long delay) {
  return queue_delayed_work(&init_net().system_workqueue(), dwork, delay);
}
inline bool queue_delayed_work_on(int /*cpu*/, workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return queue_delayed_work(queue, dwork, delay);
}
inline bool mod_delayed_work_on(int /*cpu*/, workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return mod_delayed_work(queue, dwork, delay);
}
inline bool schedule_delayed_work_on(int /*cpu*/, delayed_work* dwork, unsigned long delay) {
  return schedule_delayed_work(dwork, delay);
}

// One that waits for its time runs now. True: it had not run.
inline bool flush_delayed_work(delayed_work* dwork, Place where = Place::current()) {
  const bool waited = Porting::hurry(*dwork->work.work);
  return dwork->work->flush(where) || waited;  // it may have run by now
}
// As those of work.h, whether it waits for its time or stands in line.
inline bool cancel_delayed_work(delayed_work* dwork) {
  return dwork->work->cancel();
}
inline bool cancel_delayed_work_sync(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->cancel_sync(where);
}
inline bool disable_delayed_work(delayed_work* dwork) {
  return dwork->work->disable();
}
inline bool disable_delayed_work_sync(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->disable_sync(where);
}
inline bool enable_delayed_work(delayed_work* dwork, Place where = Place::current()) {
  return dwork->work->enable(where);
}

}  // namespace usernic::kernel
