// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/lock.h"

#include "core/lock/held_locks.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

constexpr uint32_t kFree = 0;
constexpr uint32_t kHeld = 1;
constexpr uint32_t kContended = 2;
#ifdef USERNIC_SIM
constexpr int kSpinsMax = 0;  // a fiber that spins keeps the holder from going on
#else
constexpr int kSpinsMax = 100;
#endif
constexpr Duration kNoLimit = Duration::max();
// SpinLock::unlock may miss somebody who parks just then: he looks again after this long.
constexpr Duration kSpinParkMax = std::chrono::milliseconds(1);

// Takes the word: spins a little, then parks until it is released, but for `park_max` at a time.
void take(Atomic<uint32_t>& word, Duration park_max) noexcept {
  for (int i = 0; i < kSpinsMax; ++i) {
    uint32_t expected = kFree;
    if (word.load(std::memory_order_relaxed) == kFree &&
        word.compare_exchange_weak(expected, kHeld, std::memory_order_acquire)) {
      return;
    }
    spin_pause();
  }
  while (word.exchange(kContended, std::memory_order_acquire) != kFree) {
    wait_on(word, kContended, park_max == kNoLimit ? kForever : Clock::now() + park_max);
  }
}

}  // namespace

namespace internal {

void before_lock(const void* lock, const LockClass& lock_class, LockKind kind, int level, Place where) noexcept {
  HeldLocks::mine().acquire(lock, lock_class, kind, level, where);
}
void after_try_lock(const void* lock, const LockClass& lock_class, LockKind kind, Place where) noexcept {
  HeldLocks::mine().acquired(lock, lock_class, kind, where);
}
void after_unlock(const void* lock) noexcept {
  HeldLocks::mine().release(lock);
}
bool holds(const void* lock) noexcept {
  return !kChecksOn || HeldLocks::mine().holds(lock);
}

}  // namespace internal

using internal::LockKind;

void Mutex::lock(int level, Place where) {
  if (kChecksOn) [[unlikely]]
    internal::before_lock(this, *class_, LockKind::kMutex, level, where);
  uint32_t expected = kFree;
  if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) take(word_, kNoLimit);
}

bool Mutex::try_lock(Place where) {
  uint32_t expected = kFree;
  if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return false;
  if (kChecksOn) [[unlikely]]
    internal::after_try_lock(this, *class_, LockKind::kMutex, where);
  return true;
}

void Mutex::unlock() noexcept {
  if (kChecksOn) [[unlikely]]
    internal::after_unlock(this);
  if (word_.exchange(kFree, std::memory_order_release) == kContended) wake_one(word_);
}

bool Mutex::held_by_me() const noexcept {
  return internal::holds(this);
}

void Mutex::assert_held(Place where) const noexcept {
  if (held_by_me()) return;
  report_contract("not-held", std::string("'") + class_->name + "' must be held", where);
}

// Parking is bounded: whoever holds a SpinLock does not sleep.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
void SpinLock::lock_slow() noexcept {
  const BlockingByDesign allowed;
  take(word_, kSpinParkMax);
}

void SpinLock::assert_held(Place where) const noexcept {
  if (held_by_me()) return;
  const BlockingByDesign allowed;
  report_contract("not-held", std::string("'") + class_->name + "' must be held", where);
}
USERNIC_BLOCKING_BY_DESIGN_END

bool SpinLock::try_lock(Place where) noexcept {
  uint32_t expected = kFree;
  if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return false;
  if (kChecksOn) [[unlikely]]
    internal::after_try_lock(this, *class_, LockKind::kSpin, where);
  return true;
}

bool SpinLock::held_by_me() const noexcept {
  return internal::holds(this);
}

bool WaitQueue::wait_since(uint32_t seen, Time deadline, Place where) {
  might_sleep(where);
  waiters_.fetch_add(1);
  const bool woken = wait_on(sequence_, seen, deadline);
  waiters_.fetch_sub(1);
  return woken;
}

void WaitQueue::wake() noexcept {
  sequence_.fetch_add(1);
  if (waiters_.load() != 0) wake_all(sequence_);
}

void WaitQueue::wake_one() noexcept {
  sequence_.fetch_add(1);
  if (waiters_.load() != 0) usernic::wake_one(sequence_);
}

}  // namespace usernic
