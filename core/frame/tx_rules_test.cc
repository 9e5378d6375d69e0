// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver does wrong with what it is given to send, and how the core goes on.
#include <gtest/gtest.h>

#include <functional>

#include "core/device/net_device_fixture.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// Its start_xmit and its stop are the test's.
class WrongDriver {
 public:
  explicit WrongDriver(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    if (on_stop) on_stop();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    sizes.push_back(skb.size());
    last_more = more;
    return on_xmit(skb, queue);
  }

  std::function<NetdevTx(Skb&, TxQueue&)> on_xmit = [](Skb& skb, TxQueue&) {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  };
  std::function<void()> on_stop;
  std::vector<uint32_t> sizes;
  bool last_more = false;

 private:
  NetDevice& dev_;
};

struct TxRulesTest : testing::Test {
  Net net;
  SkbPool pool{8, 4096};
  TestPort port;
  NetdevPtr dev = *net.alloc_netdev<WrongDriver>({.name = "bad0"});
  WrongDriver& driver = *static_cast<WrongDriver*>(dev->driver());
  SkbBatch frames;
  Reports reports;

  void SetUp() override {
    if (!kChecksOn) GTEST_SKIP() << "checks are off";
    ASSERT_TRUE(dev->register_netdev() && dev->attach_port(port) && dev->open());
  }
  void TearDown() override {
    SkbPool::free(frames);
    if (dev->reg_state() == RegState::kRegistered) dev->detach_port();
    (void)dev->close();
    EXPECT_EQ(pool.available(), 8u) << "every frame is back";
  }
  Skb& frame(uint32_t size = 60) {
    Skb& skb = *pool.alloc();
    std::fill_n(skb.put(size), size, uint8_t{7});
    return skb;
  }
  uint32_t xmit(std::initializer_list<uint32_t> sizes) {
    for (const uint32_t size : sizes) frames.push_back(frame(size));
    return dev->xmit(dev->tx_queue(0), frames);
  }
  // One report of this rule, of the driver, in start_xmit.
  void expect_report(const char* rule) {
    ASSERT_EQ(reports.rules(), rule);
    EXPECT_EQ(reports.all[0].device, "bad0 (driver WrongDriver)");
    EXPECT_TRUE(at(reports.all[0].here).starts_with("tx_rules_test.cc")) << at(reports.all[0].here);
  }
  uint64_t dropped() { return dev->stats().tx_dropped; }
};

TEST_F(TxRulesTest, BusyWithTheQueueRunningIsReportedAndTheSenderIsWoken) {
  driver.on_xmit = [](Skb&, TxQueue&) { return NetdevTx::kBusy; };
  EXPECT_EQ(xmit({60, 61}), 0u);
  expect_report("xmit-busy-running");
  EXPECT_EQ(frames.size(), 2u);
  EXPECT_EQ(port.woken.count(), 1u) << "nobody else would";
}

TEST_F(TxRulesTest, WhatIsDroppedIsNotMoreToCome) {
  EXPECT_EQ(xmit({60, 4000, 4000}), 1u);
  EXPECT_FALSE(driver.last_more) << "else its doorbell is never rung";
  EXPECT_EQ(reports.all.size(), 2u);
}

TEST_F(TxRulesTest, AnOldDriverThatAnswersLockedIsReportedAndTheSenderIsWoken) {
  driver.on_xmit = [](Skb&, TxQueue&) { return NetdevTx::kLocked; };
  EXPECT_EQ(xmit({60, 61}), 0u);
  expect_report("xmit-locked");
  EXPECT_EQ(frames.size(), 2u) << "they are sent again";
  EXPECT_EQ(port.woken.count(), 1u);
}

TEST_F(TxRulesTest, BusyWithAStoppedQueueIsNoMistake) {
  driver.on_xmit = [](Skb&, TxQueue& queue) {
    queue.stop();
    return NetdevTx::kBusy;
  };
  (void)xmit({60});
  EXPECT_EQ(port.woken.count(), 0u);
  dev->tx_queue(0).wake();
  driver.on_xmit = [](Skb&, TxQueue& queue) {
    queue.stop();
    queue.wake();  // by a completion
    return NetdevTx::kBusy;
  };
  (void)xmit({});
  EXPECT_EQ(reports.rules(), "");
  EXPECT_EQ(frames.size(), 1u);
}

TEST_F(TxRulesTest, BusyOfAFrameThatWasFreedIsReportedAndTheFrameIsThePools) {
  driver.on_xmit = [](Skb& skb, TxQueue& queue) {
    queue.stop();
    SkbPool::free(skb);
    return NetdevTx::kBusy;
  };
  (void)xmit({60});
  expect_report("xmit-busy-freed");
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(dropped(), 1u);
}

TEST_F(TxRulesTest, BusyOfAFrameThatTheDriverQueuedStaysTheDrivers) {
  SkbBatch its;
  driver.on_xmit = [&](Skb& skb, TxQueue& queue) {
    queue.stop();
    its.push_back(skb);
    return NetdevTx::kBusy;
  };
  (void)xmit({60});
  expect_report("xmit-busy-kept");
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(its.size(), 1u);
  SkbPool::free(its);
}

// A pointer in a ring is not seen. When the driver frees its frame, it is in the sender's batch.
TEST_F(TxRulesTest, BusyOfAFrameThatTheDriverKeepsIsFoundWhenItFreesIt) {
  Skb* its = nullptr;
  driver.on_xmit = [&](Skb& skb, TxQueue& queue) {
    queue.stop();
    its = &skb;
    return NetdevTx::kBusy;
  };
  (void)xmit({60});
  EXPECT_EQ(reports.rules(), "");
  SkbPool::free(*its);
  EXPECT_EQ(reports.rules(), "skb-freed-in-batch");
  EXPECT_EQ(frames.size(), 1u);
}

TEST_F(TxRulesTest, BusyOfAFrameThatWasChangedIsReportedAndItsEdgesAreAsTheyWere) {
  const std::function<void(Skb&)> changes[] = {[](Skb& skb) { skb.pull(4); }, [](Skb& skb) { skb.put(1); },
                                               [](Skb& skb) { skb.data()[59] = 8; },
                                               [](Skb& skb) { *skb.push(1) = 7, skb.pull(1), skb.data()[0] = 6; }};
  for (const auto& change : changes) {
    reports.all.clear();
    driver.on_xmit = [&](Skb& skb, TxQueue& queue) {
      queue.stop();
      change(skb);
      return NetdevTx::kBusy;
    };
    (void)xmit({60});
    expect_report("xmit-busy-changed");
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames.front()->size(), 60u);
    EXPECT_EQ(frames.front()->headroom(), kSkbHeadroom);
    SkbPool::free(frames);
    dev->tx_queue(0).start();
  }
}

TEST_F(TxRulesTest, DroppedOfAFrameThatIsNotFreedIsReported) {
  Skb* its = nullptr;
  driver.on_xmit = [&](Skb& skb, TxQueue&) {
    its = &skb;
    return NetdevTx::kDropped;
  };
  (void)xmit({60});
  expect_report("xmit-dropped-kept");
  EXPECT_EQ(dropped(), 1u);
  SkbPool::free(*its);
}

TEST_F(TxRulesTest, FramesThatStopLeavesWithTheDriverAreReported) {
  std::vector<Skb*> ring;
  driver.on_xmit = [&](Skb& skb, TxQueue&) {
    ring.push_back(&skb);
    return NetdevTx::kOk;
  };
  EXPECT_EQ(xmit({60, 60, 60}), 3u);
  driver.on_stop = [&] { SkbPool::free(*ring[0]); };
  ASSERT_TRUE(dev->close());
  expect_report("skb-kept");
  EXPECT_TRUE(reports.all[0].text.contains("leaves 2 frames")) << reports.all[0].text;
  SkbPool::free(*ring[1]);
  reports.all.clear();
  // The device is gone before the last one.
  dev->detach_port();
  driver.on_stop = {};
  dev->unregister_netdev();
  dev.reset();
  SkbPool::free(*ring[2]);
  EXPECT_EQ(reports.rules(), "");
  dev = *net.alloc_netdev<WrongDriver>({.name = "bad1"});
}

TEST_F(TxRulesTest, AFrameThatTheDriverReceivesElsewhereIsNotItsAnyMore) {
  const NetdevPtr other = *net.alloc_netdev<WrongDriver>({.name = "peer"});
  ASSERT_TRUE(other->register_netdev() && other->open());
  driver.on_xmit = [&](Skb& skb, TxQueue&) {
    SkbBatch wire;
    wire.push_back(skb);
    other->receive(wire);
    return NetdevTx::kOk;
  };
  EXPECT_EQ(xmit({60}), 1u);
  ASSERT_TRUE(dev->close());
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(TxRulesTest, APoolThatGoesSaysWhoHasItsFrames) {
  Skb* its = nullptr;
  driver.on_xmit = [&](Skb& skb, TxQueue&) {
    its = &skb;
    return NetdevTx::kOk;
  };
  {
    SkbPool mine(2, 100);
    Skb& skb = *mine.alloc();
    skb.put(60);
    frames.push_back(skb);
    EXPECT_EQ(dev->xmit(dev->tx_queue(0), frames), 1u);
    reports.on_report = [&] {
      reports.on_report = {};
      SkbPool::free(*its);  // while its memory is there
    };
  }
  ASSERT_EQ(reports.rules(), "skb-leak");
  EXPECT_TRUE(reports.all[0].text.contains("1 of its 2 frames")) << reports.all[0].text;
  EXPECT_TRUE(reports.all[0].text.contains("of bad0 (driver WrongDriver)")) << reports.all[0].text;
}

TEST_F(TxRulesTest, AFrameLongerThanTheMtuNeverReachesTheDriver) {
  EXPECT_EQ(xmit({1518, 1519, 3000, 1514}), 2u);
  EXPECT_EQ(driver.sizes, (std::vector<uint32_t>{1518, 1514}));
  EXPECT_EQ(reports.rules(), "frame-too-long frame-too-long");
  EXPECT_TRUE(reports.all[0].text.starts_with("a frame of 1519 octets is sent by a device that takes 1518"))
      << reports.all[0].text;
  EXPECT_EQ(dropped(), 2u);
  EXPECT_EQ(dev->stats().tx_too_long, 2u);
}

TEST_F(TxRulesTest, AFrameThatWasOnItsWayWhenTheMtuShrankIsDroppedWithoutAReport) {
  ASSERT_TRUE(dev->change_mtu(3000));
  EXPECT_EQ(xmit({3018}), 1u);
  ASSERT_TRUE(dev->change_mtu(1500));
  EXPECT_EQ(xmit({3018}), 0u);
  EXPECT_EQ(reports.rules(), "");
  EXPECT_EQ(xmit({3019}), 0u);
  EXPECT_EQ(reports.rules(), "frame-too-long");
  EXPECT_EQ(dev->stats().tx_too_long, 2u);
}

TEST_F(TxRulesTest, AFrameThatIsTooLongIsNotReceived) {
  for (const uint32_t size : {1518u, 1519u, 60u}) frames.push_back(frame(size));
  dev->receive(frames);
  const LinkStats stats = dev->stats();
  EXPECT_EQ(stats.rx_packets, 2u);
  EXPECT_EQ(stats.rx_bytes, 1578u);
  EXPECT_EQ(stats.rx_dropped, 1u);
  EXPECT_EQ(stats.rx_too_long, 1u);
  EXPECT_EQ(reports.rules(), "") << "a software device takes what comes from below";
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
