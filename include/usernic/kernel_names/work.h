// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: work items, delayed ones, workqueues.
#pragma once

#include <cstdarg>
#include <cstdio>
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
// The work_struct that this thread is running, or NULL.
inline work_struct* current_work() {
  return work_struct::Running::get();
}

// False: it was pending already, or is disabled.
inline bool queue_work(workqueue_struct* queue, work_struct* work) {
  return queue->queue(*work->work);
}
inline bool queue_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  if (dwork->work->pending()) return false;  // also when it could be sooner
  return delay == 0 ? queue->queue(*dwork->work.work)
                    : queue->queue_at(*dwork->work.work, Clock::now() + duration_of(delay));
}
// True: it was pending, and has a new time.
inline bool mod_delayed_work(workqueue_struct* queue, delayed_work* dwork, unsigned long delay) {
  return queue->move_to(*dwork->work.work, Clock::now() + duration_of(delay));
}
inline bool schedule_work(work_struct* work) {
  return queue_work(&init_net().system_workqueue(), work);
}
inline bool schedule_delayed_work(delayed_work* dwork, unsigned long delay) {
  return queue_delayed_work(&init_net().system_workqueue(), dwork, delay);
}

// True: it had not run.
inline bool flush_work(work_struct* work) {
  return (*work)->flush();
}
inline bool flush_delayed_work(delayed_work* dwork) {
  (void)dwork->work->hurry();
  return dwork->work->flush();
}
// True: it was pending.
inline bool cancel_work(work_struct* work) {
  return (*work)->cancel();
}
inline bool cancel_work_sync(work_struct* work) {
  return (*work)->cancel_sync();
}
inline bool cancel_delayed_work(delayed_work* dwork) {
  return dwork->work->cancel();
}
inline bool cancel_delayed_work_sync(delayed_work* dwork) {
  return dwork->work->cancel_sync();
}
// Counted.
inline bool disable_work(work_struct* work) {
  return (*work)->disable();
}
inline bool disable_work_sync(work_struct* work) {
  return (*work)->disable_sync();
}
inline bool disable_delayed_work(delayed_work* dwork) {
  return dwork->work->disable();
}
inline bool disable_delayed_work_sync(delayed_work* dwork) {
  return dwork->work->disable_sync();
}
inline bool enable_work(work_struct* work) {
  return (*work)->enable();
}
inline bool enable_delayed_work(delayed_work* dwork) {
  return dwork->work->enable();
}

// Flags are taken and change nothing: every queue has a rescuer and runs anywhere.
inline constexpr unsigned WQ_UNBOUND = 2, WQ_FREEZABLE = 4, WQ_MEM_RECLAIM = 8, WQ_HIGHPRI = 16;
inline workqueue_struct* make_workqueue(int max_active, const char* format, va_list args) {
  char name[64];
  (void)std::vsnprintf(name, sizeof name, format, args);
  return new Workqueue(init_net(), name, max_active);
}
[[gnu::format(printf, 1, 4)]] inline workqueue_struct* alloc_workqueue(const char* format, unsigned, int max_active,
                                                                       ...) {
  va_list args;
  va_start(args, max_active);
  workqueue_struct* const queue = make_workqueue(max_active > 0 ? max_active : 256, format, args);
  va_end(args);
  return queue;
}
[[gnu::format(printf, 1, 3)]] inline workqueue_struct* alloc_ordered_workqueue(const char* format, unsigned flags,
                                                                               ...) {
  va_list args;
  va_start(args, flags);
  workqueue_struct* const queue = make_workqueue(Workqueue::kOrdered, format, args);
  va_end(args);
  return queue;
}
inline void flush_workqueue(workqueue_struct* queue) {
  queue->flush();
}
// Runs what is queued first. Requires: nothing is delayed, nothing queues more.
inline void destroy_workqueue(workqueue_struct* queue) {
  queue->flush();
  delete queue;
}

}  // namespace usernic::kernel_names
