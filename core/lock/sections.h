// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: sections of code that somebody can wait for, without a lock for those who are in them: a device's receivers,
// and the senders of one that locks for itself.
//
// Two counters: who enters is counted in the one of the current phase. `synchronize` moves on to the other phase and
// waits until the one before has emptied, twice: somebody may have read the phase before it moved, and be counted late.
// Whoever waits long behind somebody else who does is silent: that one speaks.
#pragma once

#include <cstdint>

#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/long_wait.h"

namespace usernic {

class Sections {
 public:
  uint32_t enter() noexcept USERNIC_NONBLOCKING {
    const uint32_t phase = phase_.load();
    inside_[phase].fetch_add(1);
    return phase;
  }
  void leave(uint32_t phase) noexcept USERNIC_NONBLOCKING {
    // Nothing of this object is read once somebody may have stopped waiting.
    if (inside_[phase].fetch_sub(1) == (kAwaited | 1)) wake_all(inside_[phase]);
  }
  // `what`, as a LongWait says it. Context: process.
  void synchronize(const char* what, Place where = Place::current()) noexcept {
    LongWait wait(what, where);
    MutexGuard one_at_a_time(lock_);
    for (int round = 0; round < 2; ++round) {
      const uint32_t before = phase_.fetch_xor(1);
      Atomic<uint32_t>& inside = inside_[before];
      for (uint32_t seen = inside.fetch_or(kAwaited) | kAwaited; seen != kAwaited; seen = inside.load()) {
        wait.on(inside, seen);
      }
      inside.fetch_and(~kAwaited);
    }
  }

 private:
  static constexpr LockClass kClass{"sections"};
  static constexpr uint32_t kAwaited = 1u << 31;
  Mutex lock_{kClass};
  Atomic<uint32_t> phase_{0};
  Atomic<uint32_t> inside_[2]{};
};

}  // namespace usernic
