// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a wait that may be long, and speaks, so that a hang is not silent.
//
// After a few seconds a LongWait says what it waits for, of which device (ReportsOn), since when and where it was
// entered; then every minute, and when it is over. It stands on the stack of a thread that waits for others: for a
// driver's call, a poll, the holder of a reference. A thread that is idle needs none.
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
  // `what` outlives it. `details(of)` is what it adds when it speaks.
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
  // For a sleep of another kind: sleep until `speaks_at` at the latest, then call `look`.
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

// How long a LongWait is silent at first, and then. Returns the patience before. In the simulator it is silent for ever
// until this is set: a wait without a limit is how the simulator sees that everybody hangs.
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
