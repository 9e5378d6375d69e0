// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/netpoll.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/napi.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// A card with room for two frames, which are out at once; its driver notices in its poll, for which it has interrupts
// or not.
struct RingNic {
  static constexpr uint32_t kRing = 2;
  explicit RingNic(NetDevice& dev) : napi(dev, *this), dev_(dev) {}
  Result<> open() {
    napi.enable();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    napi.disable();
    reclaim();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (on_xmit) on_xmit();
    {
      SpinGuardBh guard(lock_);
      ring_.push_back(skb);
      if (ring_.size() == kRing) queue.stop();
    }
    taken.set();
    if (interrupts.load()) napi.schedule();
    return NetdevTx::kOk;
  }
  int poll(Napi& polled, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (budget == 0) {
      ++without_budget;
      if (kChecksOn && current_context() != Context::kBhDisabled) in_bh = false;
    }
    if (on_poll) on_poll(budget);
    if (reclaims.load()) reclaim();
    if (budget > 0 || completes_anyway) (void)polled.complete_done(0);
    return 0;
  }
  Napi napi;
  Event taken;
  std::function<void()> on_xmit;
  std::function<void(int)> on_poll;
  uint32_t without_budget = 0;
  bool completes_anyway = false, in_bh = true;
  Atomic<bool> reclaims{true}, interrupts{false};

 private:
  void reclaim() noexcept {
    SpinGuardBh guard(lock_);
    SkbPool::free(ring_);
    if (dev_.running() && dev_.tx_queue(0).stopped()) dev_.tx_queue(0).wake();
  }
  NetDevice& dev_;
  static constexpr LockClass kClass{"ring_nic"};
  SpinLock lock_{kClass};
  SkbBatch ring_;
};

struct Controlled : RingNic {
  using RingNic::RingNic;
  void poll_controller() noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    context = current_context();
    calls.set();
    if (on_call) on_call();
  }
  std::function<void()> on_call;
  Context context = Context::kProcess;
  Event calls;
};

// Its start_xmit has no lock of the core's around it.
struct Unlocked {
  static constexpr bool lltx = true;
  explicit Unlocked(NetDevice& dev) : dev_(dev) {}
  Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    SkbPool::free(skb);
    if (on_xmit) std::exchange(on_xmit, {})();
    taken.set();
    return NetdevTx::kOk;
  }
  std::function<void()> on_xmit;
  Event taken;

 private:
  NetDevice& dev_;
};

struct NetpollTest : testing::Test {
  Net net{{.poll_threads = 2}};
  SkbPool pool{128, 256};
  NetdevPtr dev = make<RingNic>();
  RingNic& nic = of<RingNic>(dev);
  std::optional<Netpoll> netpoll{*dev};

  template <class Driver>
  NetdevPtr make() {
    NetdevPtr made = *net.alloc_netdev<Driver>({.name = "n%d", .watchdog = Duration::max()});
    EXPECT_TRUE(made->register_netdev() && made->open());
    return made;
  }
  template <class Driver>
  static Driver& of(const NetdevPtr& device) {
    return *static_cast<Driver*>(device->driver());
  }
  void TearDown() override {
    netpoll.reset();
    ASSERT_TRUE(dev->close());
    EXPECT_EQ(pool.available(), 128u);
  }
  bool say() {
    Skb& skb = *pool.alloc();
    skb.put(60);
    return netpoll->send(skb);
  }
  std::string counts() const {
    const Netpoll::Counters now = netpoll->counters();
    return fmt::format("{} sent, {} later, {} dropped", now.sent, now.later, now.dropped);
  }
};

TEST_F(NetpollTest, AFrameIsOutWhenSendReturns) {
  EXPECT_TRUE(say());
  EXPECT_EQ(nic.taken.count(), 1u);
  EXPECT_EQ(counts(), "1 sent, 0 later, 0 dropped");
}

TEST_F(NetpollTest, WhileTheQueueIsStoppedTheDriverIsPolledForRoom) {
  for (uint32_t i = 1; i <= 20; ++i) EXPECT_TRUE(say()) << i;
  EXPECT_EQ(nic.taken.count(), 20u);
  EXPECT_GE(nic.without_budget, 9u);
  EXPECT_TRUE(nic.in_bh);
  EXPECT_EQ(counts(), "20 sent, 0 later, 0 dropped");
}

TEST_F(NetpollTest, WhatFindsNoRoomIsSentWhenThereIsSomeInOrder) {
  nic.reclaims.store(false);
  EXPECT_TRUE(say() && say());
  EXPECT_FALSE(say());
  EXPECT_FALSE(say()) << "not before the one that is kept";
  EXPECT_EQ(counts(), "2 sent, 2 later, 0 dropped");
  nic.reclaims.store(true);
  nic.interrupts.store(true);
  nic.napi.schedule();
  EXPECT_TRUE(nic.taken.wait(4));
}

// The log of a process that hangs: a poll that does not return, on its own thread.
TEST_F(NetpollTest, APollThatHangsElsewhereIsNotWaitedForNorEntered) {
  Event entered, go_on;
  Atomic<int> inside{0};
  Atomic<bool> alone{true};
  nic.on_poll = [&](int) {
    if (inside.fetch_add(1) != 0) alone.store(false);
    entered.set();
    EXPECT_TRUE(go_on.wait());
    inside.fetch_sub(1);
  };
  nic.napi.schedule();
  ASSERT_TRUE(entered.wait());
  EXPECT_TRUE(say() && say()) << "there is room";
  EXPECT_FALSE(say()) << "and now none, as only that poll could say";
  EXPECT_EQ(nic.without_budget, 0u);
  nic.interrupts.store(true);
  go_on.set();
  EXPECT_TRUE(nic.taken.wait(3));
  ASSERT_TRUE(dev->close());  // nobody polls any more with what is here
  EXPECT_TRUE(alone.load());
}

TEST_F(NetpollTest, APollOfAnotherInstanceThatHangsChangesNothing) {
  Event entered, go_on;
  const NetdevPtr other = make<RingNic>();
  of<RingNic>(other).on_poll = [&](int) {
    entered.set();
    EXPECT_TRUE(go_on.wait());
  };
  of<RingNic>(other).napi.schedule();
  ASSERT_TRUE(entered.wait());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(say()) << i;
  go_on.set();
}

TEST_F(NetpollTest, WhoHangsInStartXmitIsNotWaitedFor) {
  Event entered, go_on;
  nic.on_xmit = [&] {
    entered.set();
    EXPECT_TRUE(go_on.wait());
  };
  Thread sender("sender", [&] { send(*dev, pool, {Frame(60)}); });
  ASSERT_TRUE(entered.wait());
  EXPECT_FALSE(say());
  EXPECT_EQ(counts(), "0 sent, 1 later, 0 dropped");
  go_on.set();
  sender.join();
  EXPECT_TRUE(nic.taken.wait(2)) << "it is sent all the same";
}

TEST_F(NetpollTest, AFlushWaitsForWhatIsKept) {
  EXPECT_TRUE(netpoll->flush(Clock::now())) << "nothing is";
  nic.reclaims.store(false);
  EXPECT_TRUE(say() && say());
  EXPECT_FALSE(say());
  EXPECT_FALSE(netpoll->flush(Clock::now()));
  uint32_t taken = 0;
  Thread waits("waits", [&] {
    EXPECT_TRUE(netpoll->flush(soon()));
    taken = nic.taken.count();
  });
  nic.reclaims.store(true);
  nic.interrupts.store(true);
  nic.napi.schedule();
  waits.join();
  EXPECT_EQ(taken, 3u);
}

TEST_F(NetpollTest, ADriverMaySayThingsWhileItIsPolledAndWhileItSends) {
  nic.on_poll = [&](int) { (void)say(); };
  nic.on_xmit = [&, once = true]() mutable {
    if (!std::exchange(once, false)) return;
    EXPECT_FALSE(say()) << "this thread is in start_xmit";
  };
  for (int i = 0; i < 5; ++i) (void)say();
  nic.on_poll = {};
  nic.interrupts.store(true);
  nic.napi.schedule();
  EXPECT_TRUE(eventually([&] {
    const Netpoll::Counters now = netpoll->counters();
    return nic.taken.count() == now.sent + now.later;
  })) << counts();
}

TEST_F(NetpollTest, WhatADriverSaysWhileItSendsIsSentAfterwards) {
  const NetdevPtr unlocked = make<Unlocked>();
  netpoll.emplace(*unlocked);
  bool said = true;
  of<Unlocked>(unlocked).on_xmit = [&] { said = say(); };
  EXPECT_TRUE(say());
  EXPECT_FALSE(said);
  ASSERT_TRUE(of<Unlocked>(unlocked).taken.wait(2));
  EXPECT_EQ(counts(), "1 sent, 1 later, 0 dropped");
  netpoll.reset();
}

TEST_F(NetpollTest, SomeAreKeptTheRestIsDroppedAndADeviceThatIsDownDropsAll) {
  nic.reclaims.store(false);
  EXPECT_TRUE(say() && say());
  for (uint32_t i = 0; i < Netpoll::kKeptMax + 3; ++i) EXPECT_FALSE(say());
  EXPECT_EQ(counts(), "2 sent, 64 later, 3 dropped");
  ASSERT_TRUE(dev->close());
  EXPECT_TRUE(eventually([&] { return pool.available() == 128; })) << "what is kept goes nowhere";
  EXPECT_FALSE(say());
  EXPECT_EQ(counts(), "2 sent, 64 later, 4 dropped");
}

TEST_F(NetpollTest, APollWithoutBudgetThatCompletesIsReportedAndNothingIsDone) {
  nic.completes_anyway = true;
  const Reports reports;
  Netpoll::poll(*dev);
  EXPECT_EQ(reports.rules(), kChecksOn ? "napi-completed-without-budget" : "");
  nic.completes_anyway = false;
  nic.napi.schedule();
  nic.napi.synchronize();
}

TEST_F(NetpollTest, APollWithoutBudgetThatReceivesIsReported) {
  nic.on_poll = [&](int) {
    SkbBatch frames;
    put(frames, pool, Frame(60));
    nic.napi.receive(frames);
  };
  const Reports reports;
  Netpoll::poll(*dev);
  EXPECT_EQ(reports.rules(), kChecksOn ? "napi-received-without-budget" : "");
  nic.on_poll = {};
}

TEST_F(NetpollTest, APollControllerIsCalledWithHardIrqsDisabledAndStopWaitsForIt) {
  const NetdevPtr other = make<Controlled>();
  Controlled& driver = of<Controlled>(other);
  Netpoll::poll(*other);
  EXPECT_EQ(driver.calls.count(), 1u);
  EXPECT_EQ(driver.context, kChecksOn ? Context::kHardIrq : Context::kProcess);
  Event entered, go_on;
  Atomic<bool> over{false};
  driver.on_call = [&] {
    entered.set();
    EXPECT_TRUE(go_on.wait());
    over.store(true);
  };
  Thread poller("poller", [&] { Netpoll::poll(*other); });
  ASSERT_TRUE(entered.wait());
  Thread lets_go("lets-go", [&] { go_on.set(); });
  ASSERT_TRUE(other->close());
  EXPECT_TRUE(over.load());
  poller.join();
  Netpoll::poll(*other);
  EXPECT_EQ(driver.calls.count(), 2u) << "not of a device that is down";
}

TEST_F(NetpollTest, ManyTalkAtOnceWhileFramesGoAndTheDeviceGoesUpAndDown) {
  constexpr int kRounds = 300;
  nic.interrupts.store(true);
  std::vector<Thread> all;
  for (int i = 0; i < 2; ++i) {
    all.emplace_back("talker", [&] {
      for (int round = 0; round < kRounds; ++round) {
        if (Skb* const skb = pool.alloc(); skb != nullptr) {
          skb->put(60);
          (void)netpoll->send(*skb);
        }
      }
    });
  }
  all.emplace_back("sender", [&] {
    for (int round = 0; round < kRounds; ++round) send(*dev, pool, {Frame(60)});
  });
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(dev->close());
    ASSERT_TRUE(dev->open());
  }
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
