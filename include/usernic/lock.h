// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the locks of the contract.
//
// Order, outermost first: lane -> rtnl -> instance lock (IL) -> addr_list_lock (upper device, then lower) -> the rest.
// A Mutex may be held across a sleep. A SpinLock may not: its holder is in atomic context. Each is one futex word. A
// SpinLock spins briefly before it parks, because its holder can be preempted in user space.
//
// Every lock has a class, named where the lock is declared. Two locks of one class nest only at different nesting
// levels. While checks are on, each thread knows which locks it holds and where it took them, and the process remembers
// in which order and in which contexts the classes were taken: docs/lockdep.md.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/env.h"

namespace usernic {

// kAnyContext: a leaf lock of usernic's own machinery, taken in any context by a plain SpinGuard. That is safe in user
// space: a BH runs on a thread of its own, so it cannot wait for a thread that it interrupted.
enum class LockUse : uint8_t { kByContext, kAnyContext };

// All locks that are used alike have one class. Static storage: the process remembers the order of classes to its end.
struct LockClass {
  const char* name;
  LockUse use = LockUse::kByContext;
};

namespace internal {
enum class LockKind : uint8_t { kMutex, kSpin, kLane };
// While checks are on: what this thread holds. `before_lock` reports a lock taken twice, against the known order, or
// in a wrong context; a lock that was only tried cannot have been waited for, and is held from then on.
void before_lock(const void* lock, const LockClass& lock_class, LockKind kind, int level, Place where) noexcept
    USERNIC_NONBLOCKING;
void after_try_lock(const void* lock, const LockClass& lock_class, LockKind kind, Place where) noexcept
    USERNIC_NONBLOCKING;
void after_unlock(const void* lock) noexcept USERNIC_NONBLOCKING;
bool holds(const void* lock) noexcept USERNIC_NONBLOCKING;
}  // namespace internal

class USERNIC_CAPABILITY("mutex") Mutex {
 public:
  constexpr explicit Mutex(const LockClass& lock_class) noexcept : class_(&lock_class) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Context: process. `level` tells nested locks of one class apart (0 outermost).
  void lock(int level = 0, Place where = Place::current()) USERNIC_ACQUIRE();
  bool try_lock(Place where = Place::current()) USERNIC_TRY_ACQUIRE(true);
  void unlock() noexcept USERNIC_RELEASE();
  // Does this thread hold it? Known only while checks are on, true otherwise.
  bool held_by_me() const noexcept;
  // Reports when this thread does not hold it [kernel: lockdep_assert_held].
  void assert_held(Place where = Place::current()) const noexcept USERNIC_ASSERT_HELD(this);

 private:
  const LockClass* class_;
  Atomic<uint32_t> word_{0};
};

class USERNIC_CAPABILITY("spinlock") SpinLock {
 public:
  constexpr explicit SpinLock(const LockClass& lock_class) noexcept : class_(&lock_class) {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  // Context: any in which the class is used; the holder must not sleep.
  void lock(int level = 0, Place where = Place::current()) noexcept USERNIC_NONBLOCKING USERNIC_ACQUIRE() {
    if (kChecksOn) [[unlikely]]
      internal::before_lock(this, *class_, internal::LockKind::kSpin, level, where);
    uint32_t free = 0;
    if (!word_.compare_exchange_strong(free, 1, std::memory_order_acquire)) [[unlikely]]
      lock_slow();
  }
  bool try_lock(Place where = Place::current()) noexcept USERNIC_NONBLOCKING USERNIC_TRY_ACQUIRE(true);
  void unlock() noexcept USERNIC_NONBLOCKING USERNIC_RELEASE() {
    if (kChecksOn) [[unlikely]]
      internal::after_unlock(this);
    // One plain store, the half of what an exchange costs. Who parks between the look and the store looks again soon.
    if (word_.load(std::memory_order_relaxed) == 1) [[likely]]
      word_.store(0, std::memory_order_release);
    else if (word_.exchange(0, std::memory_order_release) == 2)
      wake_one(word_);
  }
  bool held_by_me() const noexcept USERNIC_NONBLOCKING;
  void assert_held(Place where = Place::current()) const noexcept USERNIC_NONBLOCKING USERNIC_ASSERT_HELD(this);

 private:
  void lock_slow() noexcept USERNIC_NONBLOCKING;
  const LockClass* class_;
  Atomic<uint32_t> word_{0};  // 0 free, 1 held, 2 held and somebody may be parked
};

class USERNIC_SCOPED_CAPABILITY MutexGuard {
 public:
  explicit MutexGuard(Mutex& mutex, int level = 0, Place where = Place::current()) USERNIC_ACQUIRE(mutex)
      : mutex_(mutex) {
    mutex_.lock(level, where);
  }
  ~MutexGuard() USERNIC_RELEASE() { mutex_.unlock(); }
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;

 private:
  Mutex& mutex_;
};

class USERNIC_SCOPED_CAPABILITY SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock, int level = 0, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING USERNIC_ACQUIRE(lock)
      : lock_(lock) {
    lock_.lock(level, where);
  }
  ~SpinGuard() USERNIC_NONBLOCKING USERNIC_RELEASE() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
};

// SpinGuard that keeps a context out: SpinGuardBh, with BHs disabled, for a lock that BH context takes, too [kernel:
// spin_lock_bh]; SpinGuardIrq, with hard irqs disabled, for one that an interrupt handler takes [spin_lock_irqsave].
template <Context kOut>
class USERNIC_SCOPED_CAPABILITY SpinGuardAgainst {
 public:
  explicit SpinGuardAgainst(SpinLock& lock, int level = 0, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING USERNIC_ACQUIRE(lock)
      : out_(where), lock_(lock) {
    lock_.lock(level, where);
  }
  ~SpinGuardAgainst() USERNIC_NONBLOCKING USERNIC_RELEASE() { lock_.unlock(); }
  SpinGuardAgainst(const SpinGuardAgainst&) = delete;
  SpinGuardAgainst& operator=(const SpinGuardAgainst&) = delete;

 private:
  ContextScope<kOut, ScopeOf::kLock> out_;
  SpinLock& lock_;
};
using SpinGuardBh = SpinGuardAgainst<Context::kBhDisabled>;
using SpinGuardIrq = SpinGuardAgainst<Context::kHardIrq>;

// Sleep until a condition holds that changes under a Mutex or a SpinLock [kernel: wait_event].
class WaitQueue {
 public:
  // Sleeps once; the lock is released meanwhile and held again on return. Returns false when the deadline passed.
  // Spurious returns happen: loop over the condition. Context: process, nothing but `lock` held that spins.
  template <class Lock>
  bool wait(Lock& lock, Time deadline = kForever, Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
    const uint32_t seen = sequence_.load();
    waiters_.fetch_add(1);
    lock.unlock();
    might_sleep(where);
    const bool woken = wait_on(sequence_, seen, deadline);
    waiters_.fetch_sub(1);
    lock.lock(0, where);
    return woken;
  }
  // For a condition with locks of its own: read `sequence`, look at the condition, then sleep unless woken since.
  uint32_t sequence() const noexcept { return sequence_.load(); }
  bool wait_since(uint32_t seen, Time deadline = kForever, Place where = Place::current());
  // Wakes all sleepers, or one where one is enough. Context: any, best under the lock of the condition.
  void wake() noexcept USERNIC_NONBLOCKING;
  void wake_one() noexcept USERNIC_NONBLOCKING;

 private:
  Atomic<uint32_t> sequence_{0};
  Atomic<uint32_t> waiters_{0};
};

}  // namespace usernic
// Explained best by: core/lock/lock_test.cc
