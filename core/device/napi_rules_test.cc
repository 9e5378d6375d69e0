// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a poll does wrong, and how the core goes on: no instance is polled for ever, and none is waited for in vain.
#include <gtest/gtest.h>

#include <functional>

#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/porting.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::napi_rules_test {
namespace {

constexpr int kBudget = 8;

// Its poll is the test's; its stop leaves the instance enabled where that is wanted.
class WrongPoller {
 public:
  explicit WrongPoller(NetDevice& dev) : napi(dev, *this, kBudget) {}
  Result<> open() {
    napi.enable();
    return {};
  }
  void stop() {
    if (stops) napi.disable();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  int poll(Napi& of, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    const int work = on_poll(of, budget);
    polls.set();
    return work;
  }

  Napi napi;
  std::function<int(Napi&, int)> on_poll = well;
  Event polls;
  bool stops = true;

  static int well(Napi& of, int) {
    of.complete_done(0);
    return 0;
  }
};

struct NapiRulesTest : testing::Test {
  Net net;
  SkbPool pool{2, 3000};
  NetdevPtr dev = *net.alloc_netdev<WrongPoller>({.name = "bad0"});
  WrongPoller& driver = *static_cast<WrongPoller*>(dev->driver());
  Napi& napi = driver.napi;
  Reports reports;

  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->open()); }

  // Polls once by `body`, then well; the instance can be polled, disabled and enabled afterwards.
  void poll_by(std::function<int(Napi&, int)> body) {
    driver.on_poll = [this, body = std::move(body)](Napi& of, int budget) {
      const auto once = body;
      driver.on_poll = WrongPoller::well;  // which is the end of this lambda
      return once(of, budget);
    };
    const uint32_t polls = driver.polls.count();
    (void)napi.schedule();
    ASSERT_TRUE(driver.polls.wait(polls + 1));
    napi.synchronize();
    const uint32_t again = driver.polls.count();
    EXPECT_TRUE(napi.schedule()) << "nobody owns it";
    ASSERT_TRUE(driver.polls.wait(again + 1));
    ASSERT_TRUE(dev->close());
    ASSERT_TRUE(dev->open());
    (void)napi.schedule();
    EXPECT_TRUE(driver.polls.wait(again + 2));
    napi.synchronize();
  }
  void expect_report(const char* rule) {
    ASSERT_EQ(reports.rules(), rule);
    EXPECT_EQ(reports.all[0].device, "bad0 (driver WrongPoller)");
  }
};

TEST_F(NapiRulesTest, StopThatLeavesAnInstanceEnabledIsReportedAndTheCoreDisablesIt) {
  driver.stops = false;
  ASSERT_TRUE(dev->close());
  expect_report("napi-left-enabled");
  EXPECT_FALSE(napi.enabled());
  (void)napi.schedule();
  EXPECT_TRUE(driver.polls.stays_away());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(driver.polls.wait()) << "what was scheduled meanwhile";
  napi.synchronize();
  driver.stops = true;
}

TEST_F(NapiRulesTest, LessThanTheBudgetWithoutCompleteIsReportedAndTakenAsCompleted) {
  poll_by([](Napi&, int) { return 0; });
  expect_report("napi-not-completed");
}

TEST_F(NapiRulesTest, LessThanTheBudgetWithoutCompleteKeepsWhatWasMissed) {
  driver.on_poll = [this](Napi& of, int) {
    driver.on_poll = WrongPoller::well;
    (void)of.schedule();
    return 0;
  };
  (void)napi.schedule();
  ASSERT_TRUE(driver.polls.wait(2));
  napi.synchronize();
  expect_report("napi-not-completed");
}

TEST_F(NapiRulesTest, TheWholeBudgetAfterCompleteIsReportedAndNotPolledAgain) {
  poll_by([](Napi& of, int budget) {
    of.complete_done(budget);
    return budget;
  });
  expect_report("napi-completed-full");
}

TEST_F(NapiRulesTest, MoreThanTheBudgetIsReportedAndTakenAsTheBudget) {
  poll_by([](Napi&, int budget) { return budget + 1; });
  expect_report("napi-overrun");
}

TEST_F(NapiRulesTest, MoreThanTheBudgetAfterCompleteIsReportedOnce) {
  poll_by([](Napi& of, int budget) {
    of.complete_done(0);
    return budget + 1;
  });
  expect_report("napi-overrun");
}

TEST_F(NapiRulesTest, CompletingTwiceIsReportedAndTheSecondIsNothing) {
  poll_by([](Napi& of, int) {
    EXPECT_TRUE(of.complete_done(0));
    EXPECT_TRUE(of.schedule()) << "as an interrupt may, in between";
    EXPECT_FALSE(of.complete_done(0));
    return 0;
  });
  expect_report("napi-completed-twice");
}

TEST_F(NapiRulesTest, APollThatWaitsForItselfIsReportedAndDoesNot) {
  poll_by([](Napi& of, int) {
    of.synchronize();
    of.disable();
    of.complete_done(0);
    return 0;
  });
  EXPECT_EQ(reports.rules(), kChecksOn ? "sleep-in-atomic napi-wait-in-poll sleep-in-atomic napi-wait-in-poll"
                                       : "napi-wait-in-poll napi-wait-in-poll");
  EXPECT_TRUE(napi.enabled());
}

TEST_F(NapiRulesTest, APreparedInstanceIsScheduledOnce) {
  Event in_poll, go_on;
  driver.on_poll = [&](Napi& of, int) {
    in_poll.set();
    go_on.wait();
    return WrongPoller::well(of, 0);
  };
  (void)napi.schedule();
  ASSERT_TRUE(in_poll.wait());
  WrongPoller other(*dev);
  other.napi.enable();
  ASSERT_TRUE(Porting::schedule_prep(other.napi));
  Porting::schedule_prepared(other.napi);
  Porting::schedule_prepared(other.napi);
  go_on.set();
  ASSERT_TRUE(other.polls.wait());
  other.napi.disable();
  EXPECT_EQ(other.polls.count(), 1u);
  expect_report("napi-scheduled-twice");
}

TEST_F(NapiRulesTest, FramesReceivedOutsideOfThePollAreReportedAndDelivered) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  SkbBatch frames;
  Skb& skb = *pool.alloc();
  skb.put(60);
  frames.push_back(skb);
  {
    const BhScope bh;
    napi.receive(frames);
  }
  expect_report("napi-outside-poll");
  EXPECT_EQ(dev->stats().rx_packets, 1u);
}

TEST_F(NapiRulesTest, CompleteOutsideOfThePollIsReported) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  (void)napi.complete_done(0);
  expect_report("napi-outside-poll");
}

TEST_F(NapiRulesTest, AFrameLongerThanTheMtuIsReportedAndNotReceived) {
  poll_by([this](Napi& of, int) {
    SkbBatch frames;
    for (const uint32_t size : {1519u, 1518u}) {
      Skb& skb = *pool.alloc();
      skb.put(size);
      frames.push_back(skb);
    }
    of.receive(frames);
    of.complete_done(2);
    return 2;
  });
  EXPECT_EQ(reports.rules(), kChecksOn ? "frame-too-long" : "");
  EXPECT_EQ(dev->stats().rx_packets, 1u);
  EXPECT_EQ(dev->stats().rx_dropped, 1u);
  EXPECT_EQ(dev->stats().rx_too_long, 1u);
}

}  // namespace
}  // namespace usernic::napi_rules_test

USERNIC_UNSEEN_BY_CLANG_END
