// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a SpinLock whose nesting level changes, but only while it is held: stacks are joined and taken apart under
// rtnl.
//
// An upper device's locks have lower levels than those of the devices below it, at every moment: where stacks are
// joined the lowest device's grow first, where they are taken apart the uppermost's shrink first. Who holds a lock at
// the level that it has now may take those below it.
#pragma once

#include "usernic/lock.h"

namespace usernic {

// Takes it at the level that it has when it is held.
inline void lock_at(SpinLock& lock, const Atomic<int>& level, Place where) noexcept
    USERNIC_NONBLOCKING USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  int at = level.load(std::memory_order_relaxed);
  lock.lock(at, where);
  while (at != level.load(std::memory_order_relaxed)) [[unlikely]] {
      lock.unlock();
      at = level.load(std::memory_order_relaxed);
      lock.lock(at, where);
    }
}

// SpinGuardBh, by lock_at.
class USERNIC_SCOPED_CAPABILITY LevelGuard {
 public:
  LevelGuard(SpinLock& lock, const Atomic<int>& level, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING USERNIC_ACQUIRE(lock) USERNIC_NO_THREAD_SAFETY_ANALYSIS : bh_(where),
                                                                                    lock_(lock) {
    lock_at(lock, level, where);
  }
  ~LevelGuard() USERNIC_NONBLOCKING USERNIC_RELEASE() { lock_.unlock(); }
  LevelGuard(const LevelGuard&) = delete;
  LevelGuard& operator=(const LevelGuard&) = delete;

 private:
  ContextScope<Context::kBhDisabled, ScopeOf::kLock> bh_;
  SpinLock& lock_;
};

}  // namespace usernic
