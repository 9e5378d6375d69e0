// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/poll_here.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/device/net_device_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/napi.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

struct ThisThread {};
const void* this_thread() {
  return &Local<char, ThisThread>::get();
}

// An instance that notes who polls it.
struct Polls {
  explicit Polls(NetDevice& dev) : napi(dev, *this, 4) { napi.enable(); }
  ~Polls() { napi.disable(); }
  int poll(Napi& polled, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    by.store(this_thread());
    in_bh.store(!kChecksOn || current_context() == Context::kBhDisabled);
    const int work = body(budget);
    if (work < budget) polled.complete_done(work);
    count.set();
    return work;
  }
  std::function<int(int)> body = [](int) { return 0; };
  Atomic<const void*> by{nullptr};
  Atomic<bool> in_bh{false};
  Event count;
  Napi napi;
};

struct PollHereTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "t0"});
  void SetUp() override { ASSERT_TRUE(dev->register_netdev()); }
};

TEST_F(PollHereTest, WhatIsScheduledIsPolledAtTheEndByWhoScheduledIt) {
  Polls one(*dev), other(*dev);
  {
    const PollHere here(net);
    one.napi.schedule();
    other.napi.schedule();
    EXPECT_EQ(one.count.count(), 0u) << "not before the end";
  }
  for (Polls* each : {&one, &other}) {
    EXPECT_EQ(each->count.count(), 1u);
    EXPECT_EQ(each->by.load(), this_thread());
    EXPECT_TRUE(each->in_bh.load());
  }
}

TEST_F(PollHereTest, OutsideOfItThePollThreadPolls) {
  Polls polls(*dev);
  { const PollHere here(net); }
  polls.napi.schedule();
  ASSERT_TRUE(polls.count.wait(1));
  EXPECT_NE(polls.by.load(), this_thread());
}

TEST_F(PollHereTest, WhatAPollSchedulesIsPolledTooAndTheRestIsThePollThreads) {
  Polls polls(*dev);
  constexpr uint32_t kRounds = 100;
  uint32_t rounds = 0, here = 0;
  const void* const me = this_thread();
  polls.body = [&](int budget) {
    here += this_thread() == me ? 1 : 0;
    return ++rounds < kRounds ? budget : 0;
  };
  {
    const PollHere scope(net);
    polls.napi.schedule();
  }
  ASSERT_TRUE(polls.count.wait(kRounds));
  EXPECT_GE(here, 2u) << "a poll that used its budget is polled again here";
  EXPECT_LT(here, kRounds) << "but not for ever";
}

TEST_F(PollHereTest, WhileThePollThreadPollsNobodyElseDoes) {
  Polls slow(*dev), other(*dev);
  Event entered, go_on;
  slow.body = [&](int) {
    entered.set();
    EXPECT_TRUE(go_on.wait(1));
    return 0;
  };
  slow.napi.schedule();
  ASSERT_TRUE(entered.wait(1));
  {
    const PollHere here(net);
    other.napi.schedule();
  }
  EXPECT_EQ(other.count.count(), 0u) << "one poll at a time";
  go_on.set();
  ASSERT_TRUE(other.count.wait(1));
  EXPECT_NE(other.by.load(), this_thread());
}

TEST_F(PollHereTest, WhoDisablesAnInstanceWaitsForAPollHere) {
  Polls polls(*dev);
  Event entered, go_on;
  Atomic<bool> over{false};
  polls.body = [&](int) {
    entered.set();
    EXPECT_TRUE(go_on.wait(1));
    over.store(true);
    return 0;
  };
  Thread sender("sender", [&] {
    const PollHere here(net);
    polls.napi.schedule();
  });
  ASSERT_TRUE(entered.wait(1));
  Thread lets_go("lets-go", [&] { go_on.set(); });
  polls.napi.disable();
  EXPECT_TRUE(over.load());
  sender.join();
  lets_go.join();
  polls.napi.enable();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
