// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the door to the outside: clock, threads, blocking, chance.
//
// The core, the drivers and everything built on them meet the machine here and in lock.h, nowhere else; tests/tree
// checks that. Production is real threads on a futex. The simulator implements the same declarations with fibers under
// virtual time. It can, because control changes hands at these points only: an Atomic operation, wait_on, wake, a
// Thread's birth and death.
//
// Time is steady nanoseconds. Blocking is one primitive, the futex: `wait_on(word, seen)` sleeps while the word still
// holds what was seen. Locks, condition variables and work queues are built on it, in code that both worlds share.
#pragma once

#include <chrono>
#include <cstdint>
#include <source_location>

#include "usernic/annotations.h"
#include "usernic/atomic.h"
#include "usernic/error.h"

namespace usernic {

// The steady clock. `Clock::now()` never goes back and is not the time of day.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept USERNIC_NONBLOCKING;
};
using Time = Clock::time_point;
using Duration = Clock::duration;
inline constexpr Time kForever = Time::max();

// Sleeps while `word == seen`, until somebody wakes the word or `deadline` passes. May return early for no reason:
// look again. Returns false when the deadline passed. Context: process; never under a SpinLock.
bool wait_on(const Atomic<uint32_t>& word, uint32_t seen, Time deadline = kForever) noexcept;
// Wake one or all sleepers of the word. Context: any; a bounded system call.
void wake_one(Atomic<uint32_t>& word) noexcept USERNIC_NONBLOCKING;
void wake_all(Atomic<uint32_t>& word) noexcept USERNIC_NONBLOCKING;
// A pause of a busy loop.
void spin_pause() noexcept USERNIC_NONBLOCKING;

// A random number that no seed outside the environment decides.
uint64_t random_u64() noexcept;

// A request to stop what is running; every token of it shows the request. A slow bus operation takes a token and a
// deadline and sleeps in `StopToken::wait_until`.
class StopToken;
class StopSource {
 public:
  StopSource() = default;
  StopSource(const StopSource&) = delete;
  StopSource& operator=(const StopSource&) = delete;
  // Every token reports the stop from now on; sleepers wake. Context: any.
  void request_stop() noexcept USERNIC_NONBLOCKING;
  // Forgets an earlier request. Requires: nobody uses a token of an earlier round.
  void reset() noexcept USERNIC_NONBLOCKING;
  StopToken token() const noexcept;

 private:
  friend class StopToken;
  Atomic<uint32_t> requested_{0};
};

// Requires: its StopSource outlives it. A default token never stops.
class StopToken {
 public:
  StopToken() = default;
  bool stop_requested() const noexcept USERNIC_NONBLOCKING;
  // Sleeps until the stop or the deadline. Returns true when it was the stop. Context: process.
  bool wait_until(Time deadline, std::source_location where = std::source_location::current()) const noexcept;
  // The word that turns from 0 to 1 with the stop, for wait_on; null for a token that never stops.
  const Atomic<uint32_t>* word() const noexcept { return word_; }

 private:
  friend class StopSource;
  explicit StopToken(const Atomic<uint32_t>* word) noexcept : word_(word) {}
  const Atomic<uint32_t>* word_ = nullptr;
};

}  // namespace usernic
// Explained best by: core/lock/env_test.cc
