// SPDX-License-Identifier: Apache-2.0 OR MIT
// Several poll threads in a Net.
#include "core/device/poll_threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/chance.h"
#include "testing/unseen_by_clang.h"
#include "usernic/netpoll.h"
#include "usernic/poll_here.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::poll_threads_test {
namespace {

const void* this_thread() {
  return &Local<char, struct ThisThread>::get();
}

// An instance that is alone in its poll, or says so.
struct Polls {
  explicit Polls(NetDevice& dev) : napi(dev, *this, 4) { napi.enable(); }
  ~Polls() { napi.disable(); }
  int poll(Napi& polled, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (inside.exchange(true)) alone.store(false);
    by.store(this_thread());
    const int work = body(budget);
    count.set();
    inside.store(false);
    if (work < budget) polled.complete_done(work);
    return work;
  }
  std::function<int(int)> body = [](int) { return 0; };
  Atomic<const void*> by{nullptr};
  Atomic<bool> inside{false}, alone{true};
  Event count;
  Napi napi;
};

struct PollThreadsTest : testing::Test {
  static constexpr uint16_t kThreads = 3;
  Net net{{.poll_threads = kThreads}};
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "t0"});
  void SetUp() override { ASSERT_TRUE(dev->register_netdev()); }

  std::vector<std::unique_ptr<Polls>> instances(int count) {
    std::vector<std::unique_ptr<Polls>> all;
    for (int i = 0; i < count; ++i) all.push_back(std::make_unique<Polls>(*dev));
    return all;
  }
};

TEST_F(PollThreadsTest, InstancesLiveOnAllThreadsAndStayThere) {
  const auto all = instances(6);
  std::vector<const void*> homes;
  for (uint32_t round = 1; round <= 3; ++round) {
    for (const auto& each : all) each->napi.schedule();
    for (const auto& each : all) {
      const void* const before = each->by.load();
      ASSERT_TRUE(each->count.wait(round));
      if (round == 1) homes.push_back(each->by.load());
      EXPECT_TRUE(round == 1 || each->by.load() == before);
    }
  }
  for (const void* thread : homes) EXPECT_EQ(std::ranges::count(homes, thread), 2);
}

TEST_F(PollThreadsTest, WhoComesNextTakesTheRoomOfWhoLeft) {
  auto all = instances(3);
  const auto home = [](Polls& polls) {
    polls.napi.schedule();
    EXPECT_TRUE(polls.count.wait());
    return polls.by.load();
  };
  const void* const second = home(*all[1]);
  all[1].reset();
  Polls next(*dev);
  EXPECT_EQ(home(next), second);
}

TEST_F(PollThreadsTest, APollThatHangsHoldsUpItsThreadOnly) {
  Event entered, go_on;  // which the poll has until its instance goes
  const auto all = instances(kThreads);
  all[0]->body = [&](int) {
    entered.set();
    EXPECT_TRUE(go_on.wait());
    return 0;
  };
  all[0]->napi.schedule();
  ASSERT_TRUE(entered.wait());
  for (size_t i = 1; i < all.size(); ++i) {
    all[i]->napi.schedule();
    EXPECT_TRUE(all[i]->count.wait());
  }
  go_on.set();
}

TEST_F(PollThreadsTest, WhoSendsPollsThoseOfAllThreads) {
  const auto all = instances(kThreads);
  {
    const PollHere here(net);
    for (const auto& each : all) each->napi.schedule();
  }
  for (const auto& each : all) EXPECT_EQ(each->by.load(), this_thread());
}

// The threads are polled in their order, and who is polled last schedules one of each.
TEST_F(PollThreadsTest, WhatAPollInAnothersPlaceSchedulesIsPolled) {
  const auto early = instances(kThreads), late = instances(kThreads);
  late.back()->body = [&](int) {
    for (const auto& each : early) each->napi.schedule();
    return 0;
  };
  {
    const PollHere here(net);
    late.back()->napi.schedule();
  }
  for (const auto& each : early) EXPECT_TRUE(each->count.wait());
}

TEST_F(PollThreadsTest, TheyRunWhereTheyAreTold) {
  cpu_set_t mine;
  ASSERT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &mine)) ++cpu;
  Net pinned{{.poll_threads = 2, .poll_cpus = {cpu}}};
  const NetdevPtr own = *pinned.alloc_netdev<PlainDriver>({.name = "t0"});
  Polls one(*own), other(*own);
  for (Polls* each : {&one, &other}) {
    each->body = [cpu](int) {
      cpu_set_t set;
      EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
      EXPECT_TRUE(CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set));
      return 0;
    };
    each->napi.schedule();
    EXPECT_TRUE(each->count.wait());
  }
}

TEST_F(PollThreadsTest, WhereTheyMayNotRunIsSaidAndTheyRunElsewhere) {
  testing::internal::CaptureStderr();
  {
    Net pinned{{.poll_cpus = {CPU_SETSIZE - 1}}};
    const NetdevPtr own = *pinned.alloc_netdev<PlainDriver>({.name = "t0"});
    Polls one(*own);
    one.napi.schedule();
    EXPECT_TRUE(one.count.wait());
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "usernic: a poll thread may not run on CPU 1023: it runs wherever it may\n");
}

// Interrupts, senders that poll in place of the threads, netpoll's polls and disables, all at once.
TEST_F(PollThreadsTest, AnInstanceIsPolledByOneAtATimeWhateverHappens) {
  constexpr int kRounds = 2000;
  const auto all = instances(4);
  std::vector<Thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back("irq", [&, i] {
      Chance chance(static_cast<uint64_t>(i));
      for (int round = 0; round < kRounds; ++round) all[chance.below(all.size())]->napi.schedule();
    });
  }
  threads.emplace_back("sender", [&] {
    Chance chance(7);
    for (int round = 0; round < kRounds; ++round) {
      const PollHere here(net);
      all[chance.below(all.size())]->napi.schedule();
    }
  });
  threads.emplace_back("netpoll", [&] {
    for (int round = 0; round < kRounds; ++round) Netpoll::poll(*dev);
  });
  threads.emplace_back("closer", [&] {
    Chance chance(8);
    for (int round = 0; round < kRounds / 20; ++round) {
      Napi& napi = all[chance.below(all.size())]->napi;
      napi.disable();
      napi.enable();
    }
  });
  threads.clear();
  for (const auto& each : all) {
    const uint32_t before = each->count.count();
    each->napi.schedule();
    EXPECT_TRUE(each->count.wait(before + 1)) << "nothing was lost";
    EXPECT_TRUE(each->alone.load());
  }
}

}  // namespace
}  // namespace usernic::poll_threads_test

USERNIC_UNSEEN_BY_CLANG_END
