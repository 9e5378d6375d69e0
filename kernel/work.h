// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: work items. Delayed ones: delayed_work.h; queues of one's own: workqueue.h.
//
// Return values are the kernel's. A function may free its own item with the struct around it, by `delete`: nobody may
// wait for it then. What a function may do, and when, is checked: docs/lockdep.md. A CPU or a node is a hint that
// changes nothing.
#pragma once

#include <optional>

#include "kernel/init_net.h"
#include "kernel/types.h"
#include "usernic/work.h"

namespace usernic::kernel {

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
inline void INIT_WORK(work_struct* work, work_func_t func, Place where = Place::current()) {
  work->func = func;
  work->work.emplace([work] { work->run(); }, nullptr, where);
}
inline void INIT_WORK_ONSTACK(work_struct* work, work_func_t func, Place where = Place::current()) {
  INIT_WORK(work, func, where);
}
inline void destroy_work_on_stack(work_struct*) {}  // the end of one that is queued is a report, wherever it is
inline bool work_pending(const work_struct* work) {
  return work->work->pending();
}
inline constexpr unsigned WORK_BUSY_PENDING = 1, WORK_BUSY_RUNNING = 2;
inline unsigned work_busy(work_struct* work) {
  return (work_pending(work) ? WORK_BUSY_PENDING : 0) | ((*work)->running() ? WORK_BUSY_RUNNING : 0);
}
// The work_struct that this thread is running, or NULL.
inline work_struct* current_work() {
  return work_struct::Running::get();
}

// False: it was pending already, even if for later, or is disabled.
inline bool queue_work(workqueue_struct* queue, work_struct* work) {
  return Porting::queue_unless_pending(*queue, *work->work);
}
inline bool schedule_work(work_struct* work) {
  return queue_work(&init_net().system_workqueue(), work);
}
inline constexpr int WORK_CPU_UNBOUND = 64, NUMA_NO_NODE = -1;
inline bool queue_work_on(int /*cpu*/, workqueue_struct* queue, work_struct* work) {
  return queue_work(queue, work);
}
inline bool queue_work_node(int /*node*/, workqueue_struct* queue, work_struct* work) {
  return queue_work(queue, work);
}
inline bool schedule_work_on(int /*cpu*/, work_struct* work) {
  return schedule_work(work);
}

// True: it had not run.
inline bool flush_work(work_struct* work, Place where = Place::current()) {
  return (*work)->flush(where);
}
// True: it was pending.
inline bool cancel_work(work_struct* work) {
  return (*work)->cancel();
}
inline bool cancel_work_sync(work_struct* work, Place where = Place::current()) {
  return (*work)->cancel_sync(where);
}
// Counted. True: it was pending.
inline bool disable_work(work_struct* work) {
  return (*work)->disable();
}
inline bool disable_work_sync(work_struct* work, Place where = Place::current()) {
  return (*work)->disable_sync(where);
}
// True: it can be queued again.
inline bool enable_work(work_struct* work, Place where = Place::current()) {
  return (*work)->enable(where);
}
// The same, and it is queued then.
inline bool enable_and_queue_work(workqueue_struct* queue, work_struct* work) {
  if (!enable_work(work)) return false;
  (void)queue_work(queue, work);
  return true;
}

// At namespace scope or static: `static DECLARE_WORK(reset_work, reset);`
#define DECLARE_WORK(name, func)       \
  ::usernic::kernel::work_struct name; \
  [[maybe_unused]] static const bool name##_is_made = (::usernic::kernel::INIT_WORK(&name, func), true)

}  // namespace usernic::kernel
