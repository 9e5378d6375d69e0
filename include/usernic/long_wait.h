// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a wait that may be long, and speaks. Hangs are not silent: after a few seconds it says what it waits for,
// whose device that concerns (ReportsOn), since when and where it was entered; then every minute, and when it is over.
//
// One on the stack of whoever waits for somebody else: for a driver's call, a poll, a holder of references. Who waits
// for something to do, an idle thread, has no use for it.
#pragma once

#include <functional>
#include <source_location>
#include <string>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

struct LongWaitNote {
  std::string what;    // completes "waits for ..."
  std::string device;  // "nic0 (driver Simnic)"; empty where no device is concerned
  std::string details;
  std::source_location where;
  Duration waited{};
  bool over = false;
};

class LongWait {
 public:
  // `what` outlives it. `details`, where there is something to add, is asked when it speaks, about `of`.
  using Details = std::string (*)(const void* of);
  explicit LongWait(const char* what, std::source_location where = std::source_location::current(),
                    Details details = nullptr, const void* of = nullptr) noexcept
      : what_(what), where_(where), details_(details), of_(of) {}
  ~LongWait();
  LongWait(const LongWait&) = delete;
  LongWait& operator=(const LongWait&) = delete;

  // Sleeps as wait_on does, and speaks meanwhile. Context: process.
  void on(const Atomic<uint32_t>& word, uint32_t seen) noexcept;
  // The same in a WaitQueue, whose lock is not held while it speaks.
  template <class Queue, class Lock>
  void in(Queue& queue, Lock& lock)USERNIC_NO_THREAD_SAFETY_ANALYSIS {
    if (queue.wait(lock, speaks_at())) return;
    lock.unlock();
    look();
    lock.lock();
  }
  // For who sleeps in another way: until `speaks_at` at the latest, then `look`.
  Time speaks_at() noexcept;
  void look() noexcept;

 private:
  void speak(Time now, bool over) noexcept;
  const char* const what_;
  const std::source_location where_;
  const Details details_;
  const void* const of_;
  Time since_ = kForever;  // until it sleeps for the first time
  Time speaks_at_ = kForever;
  bool spoke_ = false;
};

// How long nothing is said. Returns what was set before. In the simulator nobody speaks until it is set: a wait without
// a limit is how it sees that everybody hangs.
struct Patience {
  Duration first = std::chrono::seconds(5);
  Duration then = std::chrono::minutes(1);
};
Patience set_patience(Patience patience) noexcept;

// Notes go to the handler; without one they are printed. Returns the handler before.
using LongWaitHandler = std::function<void(const LongWaitNote&)>;
LongWaitHandler set_long_wait_handler(LongWaitHandler handler);
std::string long_wait_text(const LongWaitNote& note);  // as it is printed

}  // namespace usernic
// Explained best by: core/lock/long_wait_test.cc
