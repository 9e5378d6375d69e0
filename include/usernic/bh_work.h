// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a short piece of work in BH context, on a poll thread, now or at a time [kernel: tasklets, timers, items of
// a BH workqueue].
//
// Each item has a poll thread for its home, and is never in two runs at once. NAPI instances, of the same device too,
// may be polled meanwhile. Work that may sleep is a Work (work.h).
#pragma once

#include <boost/intrusive/set.hpp>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/env.h"

namespace usernic {

struct NetDevice;
class Softirq;

class BhWork {
 public:
  using Run = void (*)(void* of) noexcept USERNIC_NONBLOCKING;
  // `run(of)` is called; of a device, which it does not outlive. Context: process.
  BhWork(NetDevice& dev, Run run, void* of);
  // Requires: it neither waits nor runs; else a report, and it is cancelled.
  ~BhWork();
  BhWork(const BhWork&) = delete;
  BhWork& operator=(const BhWork&) = delete;

  // To be run once, as soon as the thread is free; one that waits is hurried. False: it did wait. While it runs it will
  // run again. Context: any. [kernel: tasklet_schedule]
  bool schedule() noexcept USERNIC_NONBLOCKING;
  // The same at a time; one that waits is moved there, earlier or later. [kernel: mod_timer]
  bool schedule_at(Time due) noexcept USERNIC_NONBLOCKING;
  // It waits no more. False: it did not. It may be running. Context: any.
  bool cancel() noexcept USERNIC_NONBLOCKING;
  // The same, and sleeps until it does not run either. Requires: nobody schedules it any more. Context: process, not
  // from itself. [kernel: tasklet_kill, timer_delete_sync]
  bool cancel_sync(Place where = Place::current());

 private:
  friend class Softirq;
  NetDevice& dev_;
  const Run run_;
  void* const of_;
  Softirq& home_;
  boost::intrusive::set_member_hook<> hook_;  // guarded by the home's lock, as is `due_`
  Time due_{};
};

}  // namespace usernic
// Explained best by: core/device/bh_work_test.cc
