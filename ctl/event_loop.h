// SPDX-License-Identifier: Apache-2.0
// ctl: one thread that serves many descriptors.
//
// A watch calls back when its descriptor is ready; a timer calls back at its time; `post` runs a call on the loop's
// thread and is the one way in from other threads. Callbacks may watch, forget, set timers and stop as they like:
// whoever was forgotten is not called any more, not even for an event that is already in the batch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ctl/fd.h"
#include "usernic/env.h"
#include "usernic/lock.h"

namespace usernic::ctl {

class EventLoop {
 public:
  using Call = std::move_only_function<void()>;
  using Ready = std::move_only_function<void(uint32_t events)>;

  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // From the loop's thread. `events` as in epoll(7), level-triggered; EPOLLHUP and EPOLLERR are always reported. The
  // descriptor stays the caller's, who forgets the watch before closing it. Returns the watch; 0 when epoll refuses.
  uint64_t watch(int fd, uint32_t events, Ready ready);
  void change(uint64_t watch, uint32_t events);
  void forget(uint64_t watch);
  // Calls once, at `due` or a little later.
  void at(Time due, Call call);

  // Any thread. Calls are run in order; what is posted after the loop ended is dropped with the loop.
  void post(Call call);
  // Any thread. `run` returns after the callback of the moment.
  void stop();

  // Serves until `stop`.
  void run();

 private:
  struct Watch {
    int fd;
    Ready ready;
  };
  void run_posted();
  void run_due();
  int timeout_ms() const;
  void wake();

  // Constant after construction.
  Fd epoll_;
  Fd wake_;
  // The loop's thread only.
  std::map<uint64_t, Watch> watches_;
  uint64_t next_watch_ = 1;
  std::multimap<Time, Call> timers_;
  // Any thread.
  Atomic<bool> stopped_{false};
  Mutex posted_lock_;
  std::vector<Call> posted_ USERNIC_GUARDED_BY(posted_lock_);
};

}  // namespace usernic::ctl
// Explained best by: ctl/server_test.cc
