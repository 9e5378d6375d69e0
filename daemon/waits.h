// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: requests that take time, off the event loop.
//
// Each runs as a work item of a queue of its own, told to stop when its client leaves or the daemon ends. There are at
// most kWaitsMax at a time; the next one is refused with a sentence, so waiting clients cannot use up the workers. One
// that finds no memory ends there, and its client is told.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "ctl/server.h"
#include "usernic/work.h"

namespace usernic::daemon {

class Waits {
 public:
  static constexpr size_t kWaitsMax = 64;
  // Answers `to` some time, or returns soon after the token says stop.
  using Body = std::move_only_function<void(const ctl::Responder& to, const StopToken& stop)>;

  // Requires: `net` and `loop` outlive it.
  Waits(Net& net, ctl::EventLoop& loop) : loop_(loop), queue_(net, "waits", kWaitsMax) {}
  // Stops all and sleeps until they have returned.
  ~Waits();
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // The loop's thread.
  void start(const ctl::Responder& to, Body body);

 private:
  struct Job {
    StopSource stop;
    ctl::EventLoop::Prepared ended;
    std::unique_ptr<Work> work;
  };
  void end(uint64_t number);

  ctl::EventLoop& loop_;
  Workqueue queue_;
  std::map<uint64_t, Job> jobs_;
  uint64_t next_job_ = 1;
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
