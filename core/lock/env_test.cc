// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/env.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "testing/watch.h"
#include "usernic/lock.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(ClockTest, NeverGoesBack) {
  Time last = Clock::now();
  for (int i = 0; i < 1000; ++i) {
    const Time now = Clock::now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(WaitOnTest, ReturnsFalseAtTheDeadlineAndNotBefore) {
  const Atomic<uint32_t> word{7};
  const Time deadline = Clock::now() + milliseconds(5);
  while (wait_on(word, 7, deadline)) ASSERT_LT(Clock::now(), deadline + kLong);
  EXPECT_GE(Clock::now(), deadline);
}

TEST(WaitOnTest, ADeadlineThatHasPassedIsNoSleep) {
  const Atomic<uint32_t> word{7};
  EXPECT_FALSE(wait_on(word, 7, Clock::now() - hours(1)));
  EXPECT_FALSE(wait_on(word, 7, Time{}));
  EXPECT_FALSE(wait_on(word, 7, Time::min()));
}

TEST(WaitOnTest, ReturnsAtOnceWhenTheWordIsNotWhatWasSeen) {
  const Atomic<uint32_t> word{8};
  EXPECT_TRUE(wait_on(word, 7, kForever));
}

TEST(WaitOnTest, AWakeEndsTheSleepLongBeforeTheDeadline) {
  Atomic<uint32_t> word{0};
  Event about_to_sleep;
  const Time deadline = Clock::now() + hours(1);
  Thread sleeper("sleeper", [&] {
    about_to_sleep.set();
    while (word.load() == 0) wait_on(word, 0, deadline);
  });
  ASSERT_TRUE(about_to_sleep.wait());
  word.store(1);
  wake_one(word);
  sleeper.join();
  EXPECT_LT(Clock::now(), deadline - milliseconds(1));
}

TEST(WaitOnTest, WakeAllWakesEverySleeper) {
  Atomic<uint32_t> word{0};
  Event awake;
  Thread sleepers[4];
  for (Thread& sleeper : sleepers) {
    sleeper = Thread("sleeper", [&] {
      while (word.load() == 0) wait_on(word, 0);
      awake.set();
    });
  }
  EXPECT_TRUE(awake.stays_away());
  word.store(1);
  wake_all(word);
  EXPECT_TRUE(awake.wait(4));
}

TEST(ThreadTest, TheDestructorJoins) {
  Event begun;
  Atomic<bool> done{false};
  Atomic<bool> may_end{false};
  {
    Thread thread("body", [&] {
      begun.set();
      while (!may_end.load()) spin_pause();
      done.store(true);
    });
    ASSERT_TRUE(begun.wait());
    EXPECT_FALSE(done.load());
    may_end.store(true);
  }
  EXPECT_TRUE(done.load());
}

TEST(ThreadTest, JoinWaitsAndLeavesNothingToJoin) {
  int written = 0;
  Thread thread("body", [&] { written = 42; });
  EXPECT_TRUE(thread.joinable());
  thread.join();
  EXPECT_EQ(written, 42);
  EXPECT_FALSE(thread.joinable());
  EXPECT_FALSE(Thread().joinable());
}

TEST(ThreadTest, AMovedThreadIsTheSameThread) {
  Event end;
  Thread first("body", [&] { end.wait(); });
  Thread second = std::move(first);
  EXPECT_FALSE(first.joinable());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(second.joinable());
  end.set();
}

TEST(ThreadTest, TheNameIsShownCutToFifteenCharacters) {
  std::string name;
  Thread("a-name-that-is-too-long", [&] { std::getline(std::ifstream("/proc/thread-self/comm"), name); }).join();
  EXPECT_EQ(name, "a-name-that-is-");
}

struct Pair {
  int value;
  int* pointer;
};

TEST(LocalTest, EachThreadHasItsOwnWhichBeginsAsZero) {
  using Mine = Local<Pair, struct EachThreadTag>;
  Mine::get().value = 1;
  Pair seen{9, nullptr};
  Thread("other", [&] {
    seen = Mine::get();
    Mine::get().value = 2;
  }).join();
  EXPECT_EQ(seen.value, 0);
  EXPECT_EQ(seen.pointer, nullptr);
  EXPECT_EQ(Mine::get().value, 1);
}

TEST(LocalTest, TagsTellThemApart) {
  using A = Local<int, struct TagA>;
  using B = Local<int, struct TagB>;
  A::get() = 1;
  EXPECT_EQ(B::get(), 0);
  EXPECT_NE(&A::get(), &B::get());
}

TEST(RandomTest, NumbersDiffer) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_u64());
  EXPECT_EQ(seen.size(), 100u);
}

TEST(StopTokenTest, ADefaultTokenNeverStopsAndSleepsToItsDeadline) {
  const StopToken token;
  EXPECT_FALSE(token.stop_requested());
  EXPECT_EQ(token.word(), nullptr);
  const Time deadline = Clock::now() + milliseconds(5);
  EXPECT_FALSE(token.wait_until(deadline));
  EXPECT_GE(Clock::now(), deadline);
}

TEST(StopTokenTest, EveryTokenSeesTheStop) {
  StopSource source;
  const StopToken before = source.token();
  const StopToken copy = before;
  EXPECT_FALSE(before.stop_requested());
  source.request_stop();
  for (const StopToken& token : {before, copy, source.token()}) {
    EXPECT_TRUE(token.stop_requested());
    EXPECT_TRUE(token.wait_until(kForever));
    EXPECT_EQ(token.word()->load(), 1u);
  }
}

TEST(StopTokenTest, WaitUntilEndsWithTheStopLongBeforeItsDeadline) {
  StopSource source;
  Event about_to_sleep;
  bool was_stop = false;
  const Time deadline = Clock::now() + hours(1);
  Thread sleeper("sleeper", [&] {
    about_to_sleep.set();
    was_stop = source.token().wait_until(deadline);
  });
  ASSERT_TRUE(about_to_sleep.wait());
  source.request_stop();
  sleeper.join();
  EXPECT_TRUE(was_stop);
  EXPECT_LT(Clock::now(), deadline - milliseconds(1));
}

TEST(StopTokenTest, WaitUntilWithoutAStopReturnsFalseAtTheDeadline) {
  StopSource source;
  const Time deadline = Clock::now() + milliseconds(5);
  EXPECT_FALSE(source.token().wait_until(deadline));
  EXPECT_GE(Clock::now(), deadline);
}

TEST(StopTokenTest, ResetForgetsTheRequest) {
  StopSource source;
  source.request_stop();
  source.reset();
  EXPECT_FALSE(source.token().stop_requested());
  EXPECT_FALSE(source.token().wait_until(Clock::now()));
}

TEST(StopTokenTest, WaitUntilUnderASpinLockIsReportedWithBothPlaces) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  static constexpr LockClass kClass{"env_test"};
  SpinLock lock{kClass};
  Reports reports;
  const std::string held = (lock.lock(), here());
  const std::string slept = (StopToken().wait_until(Clock::now()), here());
  lock.unlock();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), slept);
  EXPECT_EQ(at(reports.all[0].there), held);
}

}  // namespace
}  // namespace usernic
