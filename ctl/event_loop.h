// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: one thread that serves many descriptors.
//
// A watch calls back when its descriptor is ready; a timer calls back at its time; `post` runs a call on the loop's
// thread and is the one way in from other threads. Callbacks may watch, forget, set timers and stop as they like:
// whoever was forgotten is not called any more, not even for an event that is already in the batch.
//
// A callback that finds no memory (std::bad_alloc) ends there, and the loop goes on: a watch is called again while its
// descriptor is ready, a timer a little later, a posted call is over.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>

#include "ctl/outcome.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/unique_fd.h"

namespace usernic::ctl {

class EventLoop {
 public:
  using Call = std::move_only_function<void()>;
  using Ready = std::move_only_function<void(uint32_t events)>;

  using Again = std::move_only_function<bool()>;
  using Prepared = std::list<Call>;  // of one

  // Fails where no descriptor is left.
  static Outcome<std::unique_ptr<EventLoop>> create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // From the loop's thread. `events` as in epoll(7), level-triggered; EPOLLHUP and EPOLLERR are always reported. The
  // descriptor stays the caller's, who forgets the watch before closing it. Returns the watch; 0 when epoll refuses
  // (errno).
  uint64_t watch(int fd, uint32_t events, Ready ready);
  void change(uint64_t watch, uint32_t events);
  void forget(uint64_t watch);
  // Calls once, at `due` or a little later.
  void at(Time due, Call call);
  // Calls once each `period` or a little more, until it returns false.
  void every(Duration period, Again call);

  // Any thread. Calls are run in order; what is posted after the loop ended is dropped with the loop. What must not
  // fail for want of memory is prepared while it still may.
  void post(Call call) { post(prepare(std::move(call))); }
  static Prepared prepare(Call call);
  void post(Prepared call) noexcept;
  // Any thread. `run` returns after the callback of the moment.
  void stop();

  // Serves until `stop`.
  void run();

 private:
  struct Watch {
    int fd;
    Ready ready;
  };
  struct Timer {
    Duration period;
    Again call;
  };
  EventLoop(UniqueFd epoll, UniqueFd wake) noexcept;
  // False: there was no memory for one of the callbacks.
  bool run_ready(uint64_t watch, uint32_t events);
  bool run_posted();
  bool run_due();
  int timeout_ms() const;
  void wake();

  // Constant after construction.
  UniqueFd epoll_;
  UniqueFd wake_;
  // The loop's thread only.
  std::map<uint64_t, Watch> watches_;
  uint64_t next_watch_ = 1;
  std::multimap<Time, Timer> timers_;
  // Any thread.
  Atomic<bool> stopped_{false};
  Mutex posted_lock_;
  std::list<Call> posted_ USERNIC_GUARDED_BY(posted_lock_);
};

}  // namespace usernic::ctl
// Explained best by: ctl/server_test.cc
