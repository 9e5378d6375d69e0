// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: workqueues, the system's and one's own.
//
// Flags are taken and change nothing: every queue has a rescuer and runs anywhere.
#pragma once

#include "kernel/init_net.h"
#include "kernel/types.h"
#include "usernic/work.h"

namespace usernic::kernel {

// init_net's; there is one, so an item that sleeps for long delays no other.
struct system_queue {
  operator workqueue_struct*() const { return &init_net().system_workqueue(); }
};
inline constexpr system_queue system_wq, system_percpu_wq, system_long_wq, system_highpri_wq, system_unbound_wq,
    system_dfl_wq, system_freezable_wq, system_power_efficient_wq, system_freezable_power_efficient_wq;

inline constexpr unsigned WQ_UNBOUND = 2, WQ_FREEZABLE = 4, WQ_MEM_RECLAIM = 8, WQ_HIGHPRI = 16, WQ_CPU_INTENSIVE = 32,
                          WQ_SYSFS = 64, WQ_POWER_EFFICIENT = 128, WQ_PERCPU = 256;
[[gnu::format(printf, 1, 4)]] workqueue_struct* alloc_workqueue(const char* format, unsigned flags, int max_active,
                                                                ...);
[[gnu::format(printf, 1, 3)]] workqueue_struct* alloc_ordered_workqueue(const char* format, unsigned flags, ...);
inline workqueue_struct* create_workqueue(const char* name) {
  return alloc_workqueue("%s", WQ_MEM_RECLAIM, 1, name);
}
inline workqueue_struct* create_freezable_workqueue(const char* name) {
  return alloc_workqueue("%s", WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM, 1, name);
}
inline workqueue_struct* create_singlethread_workqueue(const char* name) {
  return alloc_ordered_workqueue("%s", WQ_MEM_RECLAIM, name);
}
inline void flush_workqueue(workqueue_struct* queue, Place where = Place::current()) {
  queue->flush(where);
}
// Returns when it is empty, whatever items queue while they run.
inline void drain_workqueue(workqueue_struct* queue, Place where = Place::current()) {
  queue->drain(where);
}
// Drains it. Requires: nothing is delayed, nobody else queues.
inline void destroy_workqueue(workqueue_struct* queue, Place where = Place::current()) {
  queue->drain(where);
  delete queue;
}

}  // namespace usernic::kernel
