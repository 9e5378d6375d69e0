// SPDX-License-Identifier: Apache-2.0 OR MIT
// The simulator itself: it finds what it is there to find, and says the same thing twice.
#include "sim/scheduler.h"

#include <gtest/gtest.h>

#include <utility>

#include "testing/unseen_by_clang.h"
#include "usernic/lock.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic::sim {
namespace {

using std::chrono::milliseconds;

constexpr LockClass kClassA{"lock a"};
constexpr LockClass kClassB{"lock b"};

RunResult run(uint64_t seed, std::move_only_function<void()> body, std::optional<Strategy> strategy = std::nullopt) {
  Scheduler scheduler({.seed = seed, .strategy = strategy});
  return scheduler.run(std::move(body));
}

// The first seed of 1 .. `count` that finds something, and what.
std::optional<Finding> search(uint64_t count, Strategy strategy, void (*body)()) {
  for (uint64_t seed = 1; seed <= count; ++seed) {
    if (RunResult result = run(seed, body, strategy); result.finding) return result.finding;
  }
  return std::nullopt;
}

void expect(bool holds, const char* what) {
  sim::expect(holds, "expect", what);
}

TEST(SchedulerTest, ARunEndsWithItsBody) {
  bool ran = false;
  const RunResult result = run(1, [&] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_FALSE(result.finding);
}

TEST(SchedulerTest, TheDoorWorksOutsideARun) {
  Mutex mutex{kClassA};
  const MutexGuard guard(mutex);
  Atomic<uint32_t> word{0};
  wake_all(word);
  EXPECT_EQ(Clock::now(), Clock::now());
  EXPECT_NE(random_u64(), random_u64());
}

void lose_an_update() {
  Atomic<int> counter{0};
  {
    const auto count = [&] { counter.store(counter.load() + 1); };
    Thread a("a", count), b("b", count);
  }
  expect(counter.load() == 2, "an update is lost");
}

TEST(SchedulerTest, ALostUpdateIsFound) {
  for (const Strategy strategy : {Strategy::kRandom, Strategy::kPct}) {
    const auto finding = search(100, strategy, lose_an_update);
    ASSERT_TRUE(finding);
    EXPECT_EQ(finding->text, "an update is lost");
  }
}

void lock_in_two_orders() {
  Mutex first{kClassA}, second{kClassB};
  Thread a("a", [&] {
    const MutexGuard outer(first);
    const MutexGuard inner(second);
  });
  Thread b("b", [&] {
    const MutexGuard outer(second);
    const MutexGuard inner(first);
  });
}

TEST(SchedulerTest, AnOrderOfLocksThatMayDeadlockIsReported) {
  const auto finding = search(200, Strategy::kRandom, lock_in_two_orders);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->rule, "contract: lock-order");
}

// One waits for a word while it holds the lock that the other needs before it changes the word.
TEST(SchedulerTest, ADeadlockIsFoundAndSaysWhoHoldsWhat) {
  const auto finding = search(
      200, Strategy::kRandom, +[] {
        Mutex mutex{kClassA};
        Atomic<uint32_t> word{0};
        Thread waits("waits", [&] {
          const MutexGuard guard(mutex);
          while (word.load() == 0) wait_on(word, 0);
        });
        Thread changes("changes", [&] {
          const MutexGuard guard(mutex);
          word.store(1);
          wake_all(word);
        });
      });
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->rule, "deadlock");
  EXPECT_NE(finding->text.find("for a word to change from 0; holds lock a"), std::string::npos) << finding->text;
}

// The waker changes the word and does not wake.
TEST(SchedulerTest, ALostWakeUpIsFound) {
  const auto finding = search(
      100, Strategy::kRandom, +[] {
        Atomic<uint32_t> word{0};
        Thread waiter("waiter", [&] {
          while (word.load() == 0) wait_on(word, 0);
        });
        word.store(1);
      });
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->rule, "lost-wake-up");
  EXPECT_NE(finding->text.find("although its word changed from 0 to 1"), std::string::npos) << finding->text;
}

TEST(SchedulerTest, MutualExclusionHoldsInEverySchedule) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const RunResult result = run(seed, [] {
      Mutex mutex{kClassA};
      SpinLock spin{kClassB};
      int inside = 0, sum = 0;
      Atomic<uint32_t> bus{0};
      const auto body = [&] {
        for (int i = 0; i < 3; ++i) {
          const MutexGuard outer(mutex);
          expect(++inside == 1, "two inside");
          bus.fetch_add(1);
          --inside;
          const SpinGuard inner(spin);
          ++sum;
        }
      };
      { Thread a("a", body), b("b", body), c("c", body); }
      expect(sum == 9, "somebody was not counted");
    });
    ASSERT_FALSE(result.finding) << result.finding->text;
  }
}

TEST(SchedulerTest, SleepersWakeInTheOrderOfTheirTimes) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::vector<int> order;
    const RunResult result = run(seed, [&] {
      const auto nap = [&order](int hours) {
        (void)StopToken().wait_until(Time(std::chrono::hours(hours)));
        order.push_back(hours);
      };
      Thread c("c", [&] { nap(3); }), a("a", [&] { nap(1); }), b("b", [&] { nap(2); });
    });
    ASSERT_FALSE(result.finding);
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
    EXPECT_GE(result.ended, Time(std::chrono::hours(3)));
  }
}

// Needs two preemptions at the right places: a reads between b's two stores, and b stores between a's two reads.
void order_bug_of_depth_two() {
  Atomic<int> begun{0}, finished{0};
  bool torn = false;
  {
    Thread a("a", [&] {
      for (int i = 0; i < 20; ++i) begun.load();
      const int first = finished.load();
      const int second = begun.load();
      torn = first == 0 && second == 1;
    });
    Thread b("b", [&] {
      for (int i = 0; i < 20; ++i) finished.load();
      begun.store(1);
      for (int i = 0; i < 20; ++i) begun.load();
      finished.store(1);
    });
  }
  expect(!torn, "a saw the middle of b");
}

TEST(SchedulerTest, PctFindsAnOrderingBugOfDepthTwo) {
  const auto finding = search(300, Strategy::kPct, order_bug_of_depth_two);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->text, "a saw the middle of b");
}

TEST(SchedulerTest, AnEndlessRunIsFound) {
  Scheduler scheduler({.seed = 1, .steps_max = 1'000});
  const RunResult result = scheduler.run([] {
    const Atomic<bool> never{false};
    while (!never.load()) spin_pause();
  });
  ASSERT_TRUE(result.finding);
  EXPECT_EQ(result.finding->rule, "livelock");
}

TEST(SchedulerTest, AContractReportEndsTheRun) {
  const RunResult result = run(1, [] {
    Mutex mutex{kClassA};
    mutex.lock();
    mutex.lock();
  });
  ASSERT_TRUE(result.finding);
  EXPECT_EQ(result.finding->rule, "contract: lock-twice");
}

TEST(SchedulerTest, NothingSwitchesWhereItMustNot) {
  const RunResult quiet = run(
      7,
      [] {
        Atomic<int> steps{0};
        bool halfway = false;
        Thread other("other", [&] {
          for (int i = 0; i < 50; ++i) {
            steps.load();
            expect(!halfway, "switched where it must not");
          }
        });
        for (int i = 0; i < 20; ++i) {
          {
            const NoSwitch together;
            halfway = true;
            steps.fetch_add(1);
            halfway = false;
          }
          steps.load();
        }
      },
      Strategy::kRandom);
  EXPECT_FALSE(quiet.finding) << quiet.finding->text;
  const RunResult caught = run(
      7,
      [] {
        Atomic<int> steps{0};
        bool handling = false;
        Thread other("other", [&] {
          for (int i = 0; i < 50; ++i) {
            steps.load();
            expect(!handling, "switched within a catch block");
          }
        });
        for (int i = 0; i < 20; ++i) {
          try {
            throw i;
          } catch (int) {
            handling = true;
            for (int j = 0; j < 10; ++j) steps.fetch_add(1);
            handling = false;
          }
          steps.load();
        }
      },
      Strategy::kRandom);
  EXPECT_FALSE(caught.finding) << caught.finding->text;
}

std::string trace_of(uint64_t seed, void (*body)()) {
  std::string text;
  Scheduler scheduler({.seed = seed, .trace = [&](const std::string& line) { text += line + "\n"; }});
  (void)scheduler.run(body);
  return text;
}

TEST(SchedulerTest, TheSameSeedGivesTheSameTrace) {
  const std::string once = trace_of(5, lock_in_two_orders);
  (void)trace_of(6, lose_an_update);  // nothing of another run is left
  EXPECT_EQ(once, trace_of(5, lock_in_two_orders));
  EXPECT_NE(once, trace_of(6, lock_in_two_orders));
  EXPECT_NE(once.find("lock a"), std::string::npos) << once;
}

}  // namespace
}  // namespace usernic::sim

USERNIC_UNSEEN_BY_CLANG_END
