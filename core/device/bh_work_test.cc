// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/bh_work.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/device/net_device_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

struct BhWorkTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "t0"});
  std::function<void()> body = [] {};
  Event ran;
  Atomic<bool> in_bh{true};

  static void run(void* of) noexcept {
    const BlockingByDesign a_test_may;
    auto& test = *static_cast<BhWorkTest*>(of);
    if (kChecksOn && current_context() != Context::kBhDisabled) test.in_bh.store(false);
    test.body();
    test.ran.set();
  }
};

TEST_F(BhWorkTest, ScheduledItRunsOnceInBhContext) {
  BhWork item(*dev, run, this);
  EXPECT_TRUE(item.schedule());
  ASSERT_TRUE(ran.wait());
  EXPECT_TRUE(in_bh.load());
  EXPECT_FALSE(item.cancel_sync());
  EXPECT_EQ(ran.count(), 1u);
}

TEST_F(BhWorkTest, WhileItRunsItIsScheduledToRunAgain) {
  BhWork item(*dev, run, this);
  body = [&, rounds = 0]() mutable {
    if (++rounds == 3) return;
    EXPECT_TRUE(item.schedule());
  };
  item.schedule();
  ASSERT_TRUE(ran.wait(3));
  item.cancel_sync();
  EXPECT_EQ(ran.count(), 3u);
}

TEST_F(BhWorkTest, ItsTimeComesAndIsMovedEitherWay) {
  BhWork item(*dev, run, this), other(*dev, run, this);
  const Time far = Clock::now() + std::chrono::hours(1);
  EXPECT_TRUE(item.schedule_at(far));
  EXPECT_FALSE(item.schedule_at(far + std::chrono::hours(1)));
  EXPECT_TRUE(other.schedule_at(Clock::now() + std::chrono::milliseconds(2)));
  ASSERT_TRUE(ran.wait()) << "who comes first does not wait behind the other";
  EXPECT_TRUE(ran.wait(1));
  EXPECT_FALSE(item.schedule_at(Clock::now())) << "it waits, and is hurried";
  ASSERT_TRUE(ran.wait(2));
  item.cancel_sync(), other.cancel_sync();
}

TEST_F(BhWorkTest, ACancelledOneDoesNotRunAndARunningOneIsWaitedFor) {
  BhWork item(*dev, run, this);
  item.schedule_at(Clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(item.cancel());
  EXPECT_FALSE(item.cancel());
  Event entered, go_on;
  body = [&] {
    entered.set();
    EXPECT_TRUE(go_on.wait());
  };
  item.schedule();
  ASSERT_TRUE(entered.wait());
  Thread lets_go("lets-go", [&] { go_on.set(); });
  EXPECT_FALSE(item.cancel_sync());
  EXPECT_EQ(ran.count(), 1u) << "it has returned";
}

TEST_F(BhWorkTest, ACancelledOneThatAskedToRunAgainDoesNot) {
  BhWork item(*dev, run, this);
  Event entered, go_on;
  body = [&] {
    entered.set();
    EXPECT_TRUE(go_on.wait());
    item.schedule_at(Clock::now() + std::chrono::hours(1));
  };
  item.schedule();
  ASSERT_TRUE(entered.wait());
  Thread lets_go("lets-go", [&] { go_on.set(); });
  EXPECT_TRUE(item.cancel_sync());
  EXPECT_FALSE(item.cancel());
}

TEST_F(BhWorkTest, OneThatAlwaysRunsAgainLeavesTurnsToThoseWhoseTimeHasCome) {
  Atomic<bool> ends{false};
  struct Spins {
    BhWork* item;
    Atomic<bool>& ends;
    static void run(void* of) noexcept {
      auto& spins = *static_cast<Spins*>(of);
      if (!spins.ends.load()) spins.item->schedule();
    }
  } spins{nullptr, ends};
  BhWork always(*dev, &Spins::run, &spins), timed(*dev, run, this);
  spins.item = &always;
  timed.schedule_at(Clock::now() + std::chrono::milliseconds(1));
  always.schedule();
  EXPECT_TRUE(ran.wait());
  ends.store(true);
  always.cancel_sync(), timed.cancel_sync();
}

TEST_F(BhWorkTest, AnItemThatWaitsForItselfIsReportedAndDoesNot) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  BhWork item(*dev, run, this);
  Reports reports;
  body = [&] { item.cancel_sync(); };
  item.schedule();
  ASSERT_TRUE(ran.wait());
  item.cancel_sync();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic bh-work-waits-for-itself");
}

TEST_F(BhWorkTest, AnItemThatIsDestroyedWhileItWaitsIsReported) {
  Reports reports;
  {
    BhWork item(*dev, run, this);
    item.schedule_at(Clock::now() + std::chrono::hours(1));
  }
  EXPECT_EQ(reports.rules(), "bh-work-freed");
  EXPECT_EQ(reports.all[0].device, "t0 (driver PlainDriver)");
}

TEST_F(BhWorkTest, ItIsNeverInTwoRunsHoweverManySchedule) {
  BhWork item(*dev, run, this);
  Atomic<int> inside{0};
  Atomic<bool> alone{true};
  body = [&] {
    if (inside.fetch_add(1) != 0) alone.store(false);
    inside.fetch_sub(1);
  };
  std::vector<Thread> all;
  for (int i = 0; i < 4; ++i) {
    all.emplace_back("scheduler", [&] {
      for (int round = 0; round < 500; ++round) round % 7 == 0 ? (void)item.cancel() : (void)item.schedule();
    });
  }
  all.clear();
  item.schedule();
  EXPECT_TRUE(ran.wait());
  item.cancel_sync();
  EXPECT_TRUE(alone.load());
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
