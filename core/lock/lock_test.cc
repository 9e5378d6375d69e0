// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/lock.h"

#include <gtest/gtest.h>

#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic {
namespace {

constexpr LockClass kMutexClass{"a_mutex"};
constexpr LockClass kOtherClass{"another_mutex"};
constexpr LockClass kSpinClass{"a_spinlock"};
constexpr int kThreads = 4;
constexpr int kRounds = 5'000;

struct LockReportTest : testing::Test {
  void SetUp() override {
    if (!kChecksOn) GTEST_SKIP() << "checks are off";
  }
  Reports reports;
  Mutex mutex{kMutexClass};
  Mutex sibling{kMutexClass};
  Mutex other{kOtherClass};
  SpinLock spin{kSpinClass};
};

// `kThreads` threads count a plain number up under the lock; true when none got lost and nobody was two inside.
template <class Guard, class Lock>
bool excludes(Lock& lock) {
  int count = 0;
  Atomic<int> inside{0};
  Atomic<bool> two_inside{false};
  {
    Thread threads[kThreads];
    for (Thread& thread : threads) {
      thread = Thread("counter", [&] {
        for (int i = 0; i < kRounds; ++i) {
          const Guard guard(lock);
          if (inside.fetch_add(1) != 0) two_inside.store(true);
          ++count;
          inside.fetch_sub(1);
        }
      });
    }
  }
  return count == kThreads * kRounds && !two_inside.load();
}

TEST(LockTest, AMutexExcludes) {
  Mutex mutex{kMutexClass};
  EXPECT_TRUE(excludes<MutexGuard>(mutex));
}

TEST(LockTest, ASpinLockExcludes) {
  SpinLock lock{kSpinClass};
  EXPECT_TRUE(excludes<SpinGuard>(lock));
  EXPECT_TRUE(excludes<SpinGuardBh>(lock));
}

template <class Lock>
void expect_waiters_get_it(Lock& lock) {
  Event taken;
  lock.lock();
  Thread waiters[3];
  for (Thread& waiter : waiters) {
    waiter = Thread("waiter", [&] {
      lock.lock();
      taken.set();
      lock.unlock();
    });
  }
  EXPECT_TRUE(taken.stays_away()) << "all of them are parked by now";
  lock.unlock();
  EXPECT_TRUE(taken.wait(3)) << "each release wakes the next";
}

TEST(LockTest, WhoeverParkedGetsTheMutex) {
  Mutex mutex{kMutexClass};
  expect_waiters_get_it(mutex);
}

TEST(LockTest, WhoeverParkedGetsTheSpinLock) {
  SpinLock lock{kSpinClass};
  expect_waiters_get_it(lock);
}

template <class Lock>
void expect_try_lock(Lock& lock) {
  ASSERT_TRUE(lock.try_lock());
  Thread("other", [&] { EXPECT_FALSE(lock.try_lock()); }).join();
  EXPECT_TRUE(lock.held_by_me());
  lock.unlock();
  Thread("other", [&] {
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  }).join();
}

TEST(LockTest, TryLockTakesAFreeLockAndOnlyThat) {
  Mutex mutex{kMutexClass};
  SpinLock spin{kSpinClass};
  expect_try_lock(mutex);
  expect_try_lock(spin);
}

TEST_F(LockReportTest, AMutexTakenTwiceIsReportedWithBothPlaces) {
  reports.on_report = [&] { mutex.unlock(); };  // else the second lock would wait for ever
  const std::string first = next_line();
  mutex.lock();
  const std::string second = next_line();
  mutex.lock();
  mutex.unlock();
  ASSERT_EQ(reports.rules(), "lock-twice");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_EQ(at(reports.all[0].there), first);
  EXPECT_NE(reports.all[0].text.find("'a_mutex'"), std::string::npos);
}

TEST_F(LockReportTest, ASpinLockTakenTwiceIsReportedWithBothPlaces) {
  reports.on_report = [&] { spin.unlock(); };
  const std::string first = next_line();
  const SpinGuard guard(spin);
  const std::string second = next_line();
  spin.lock();
  ASSERT_EQ(reports.rules(), "lock-twice");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_EQ(at(reports.all[0].there), first);
}

TEST_F(LockReportTest, ALockTakenTwiceWithOthersInBetweenIsReported) {
  const MutexGuard outer(mutex);
  const MutexGuard between(other);
  reports.on_report = [&] { mutex.unlock(); };
  mutex.lock();
  EXPECT_EQ(reports.rules(), "lock-twice");
}

TEST_F(LockReportTest, TakenAgainAfterReleaseIsNoReport) {
  for (int i = 0; i < 3; ++i) {
    const MutexGuard guard(mutex);
    const SpinGuard inner(spin);
  }
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockReportTest, TwoLocksOfOneClassNestedWithoutLevelsAreReportedWithBothPlaces) {
  const std::string first = next_line();
  const MutexGuard outer(mutex);
  const std::string second = next_line();
  const MutexGuard inner(sibling);
  ASSERT_EQ(reports.rules(), "lock-nested");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_EQ(at(reports.all[0].there), first);
}

TEST_F(LockReportTest, TwoLocksOfOneClassUnderDifferentLevelsAreFine) {
  const MutexGuard outer(mutex, 0);
  const MutexGuard inner(sibling, 1);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockReportTest, TheSameLevelTwiceIsReported) {
  Mutex third{kMutexClass};
  const MutexGuard outer(mutex, 0);
  const MutexGuard inner(sibling, 1);
  const MutexGuard innermost(third, 1);
  EXPECT_EQ(reports.rules(), "lock-nested");
}

TEST_F(LockReportTest, TwoLocksOfOneClassOneAfterTheOtherAreFine) {
  { const MutexGuard guard(mutex); }
  { const MutexGuard guard(sibling); }
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockReportTest, AssertHeldReportsWhoDoesNotHoldTheLock) {
  const std::string asserted = next_line();
  mutex.assert_held();
  spin.assert_held();
  ASSERT_EQ(reports.rules(), "not-held not-held");
  EXPECT_EQ(at(reports.all[0].here), asserted);
  EXPECT_EQ(reports.all[0].text, "'a_mutex' must be held");
  const MutexGuard guard(mutex);
  const SpinGuard inner(spin);
  mutex.assert_held();
  spin.assert_held();
  EXPECT_EQ(reports.all.size(), 2u);
}

TEST_F(LockReportTest, ALockThatAnotherThreadHoldsIsNotMine) {
  const MutexGuard guard(mutex);
  Thread("other", [&] { mutex.assert_held(); }).join();
  EXPECT_EQ(reports.rules(), "not-held");
  EXPECT_TRUE(mutex.held_by_me());
}

TEST_F(LockReportTest, LocksMayBeReleasedInAnyOrder) {
  mutex.lock();
  other.lock();
  spin.lock();
  mutex.unlock();
  EXPECT_FALSE(mutex.held_by_me());
  EXPECT_TRUE(other.held_by_me());
  EXPECT_TRUE(spin.held_by_me());
  spin.unlock();
  might_sleep();
  other.unlock();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockReportTest, SleepingUnderASpinLockIsReportedWithBothPlaces) {
  const MutexGuard outer(mutex);
  const std::string held = next_line();
  const SpinGuard guard(spin);
  const std::string slept = next_line();
  might_sleep();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), slept);
  EXPECT_EQ(at(reports.all[0].there), held);
  EXPECT_EQ(reports.all[0].text, "may sleep while the spinlock 'a_spinlock' is held");
}

TEST_F(LockReportTest, AMutexUnderASpinLockIsReportedWithBothPlaces) {
  const std::string held = next_line();
  const SpinGuard guard(spin);
  const std::string taken = next_line();
  const MutexGuard inner(mutex);
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), taken);
  EXPECT_EQ(at(reports.all[0].there), held);
}

TEST_F(LockReportTest, ASpinLockTakenByTryLockForbidsSleepingToo) {
  ASSERT_TRUE(spin.try_lock());
  might_sleep();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
  spin.unlock();
  might_sleep();
  EXPECT_EQ(reports.all.size(), 1u);
}

TEST_F(LockReportTest, WaitingOnAWaitQueueUnderAnotherSpinLockIsReported) {
  WaitQueue queue;
  const std::string held = next_line();
  const SpinGuard outer(spin);
  const std::string slept = next_line();
  queue.wait_since(queue.sequence(), Clock::now());
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), slept);
  EXPECT_EQ(at(reports.all[0].there), held);
}

TEST_F(LockReportTest, WaitingWithNothingButTheLockOfTheConditionIsFine) {
  WaitQueue queue;
  const SpinGuard guard(spin);
  EXPECT_FALSE(queue.wait(spin, Clock::now()));
  EXPECT_TRUE(spin.held_by_me());
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockReportTest, WaitingWithALockThatWasTakenWithBhsDisabledIsReported) {
  WaitQueue queue;
  const SpinGuardBh guard(spin);
  queue.wait(spin, Clock::now());
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
}

template <class Guard, class Lock>
void expect_ping_pong(Lock& lock) {
  constexpr int kTurns = 2'000;
  WaitQueue turn_changed;
  int turn = 0;
  const auto play = [&](int me) {
    const Guard guard(lock);
    for (int i = 0; i < kTurns; ++i) {
      while (turn % 2 != me) {
        if (!turn_changed.wait(lock, soon())) return;
      }
      ++turn;
      turn_changed.wake();
    }
  };
  Thread other("pong", [&] { play(1); });
  play(0);
  other.join();
  EXPECT_EQ(turn, 2 * kTurns) << "a wake-up got lost";
}

TEST(WaitQueueTest, NoWakeUpIsLostUnderAMutex) {
  Mutex mutex{kMutexClass};
  expect_ping_pong<MutexGuard>(mutex);
}

TEST(WaitQueueTest, NoWakeUpIsLostUnderASpinLock) {
  SpinLock lock{kSpinClass};
  expect_ping_pong<SpinGuard>(lock);
}

TEST(WaitQueueTest, WaitReturnsFalseAtTheDeadlineWithTheLockHeld) {
  Mutex mutex{kMutexClass};
  WaitQueue queue;
  const MutexGuard guard(mutex);
  const Time deadline = Clock::now() + std::chrono::milliseconds(5);
  while (queue.wait(mutex, deadline)) ASSERT_LT(Clock::now(), deadline + kLong);
  EXPECT_GE(Clock::now(), deadline);
  Thread("other", [&] { EXPECT_FALSE(mutex.try_lock()); }).join();
}

TEST(WaitQueueTest, TheLockIsFreeWhileItsHolderWaits) {
  Mutex mutex{kMutexClass};
  WaitQueue queue;
  bool ready = false;
  Event waiting;
  Thread waiter("waiter", [&] {
    const MutexGuard guard(mutex);
    waiting.set();
    while (!ready) queue.wait(mutex);
  });
  ASSERT_TRUE(waiting.wait());
  {
    const MutexGuard guard(mutex);
    ready = true;
    queue.wake();
  }
  waiter.join();
}

TEST(WaitQueueTest, AWakeSinceTheSequenceWasReadIsNotSleptThrough) {
  WaitQueue queue;
  const uint32_t seen = queue.sequence();
  queue.wake();
  EXPECT_TRUE(queue.wait_since(seen, kForever));
  EXPECT_FALSE(queue.wait_since(queue.sequence(), Clock::now()));
}

TEST(WaitQueueTest, WakeWakesAll) {
  Mutex mutex{kMutexClass};
  WaitQueue queue;
  bool ready = false;
  Event awake;
  Thread waiters[4];
  for (Thread& waiter : waiters) {
    waiter = Thread("waiter", [&] {
      const MutexGuard guard(mutex);
      while (!ready) queue.wait(mutex);
      awake.set();
    });
  }
  EXPECT_TRUE(awake.stays_away());
  {
    const MutexGuard guard(mutex);
    ready = true;
    queue.wake();
  }
  EXPECT_TRUE(awake.wait(4));
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
