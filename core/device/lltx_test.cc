// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver that locks for itself: several are in its start_xmit at once, beside its rx-mode call, and none after close.
#include <gtest/gtest.h>

#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/address_list.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

class LltxDriver {
 public:
  static constexpr bool lltx = true;
  explicit LltxDriver(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    open_.store(true);
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() { open_.store(false); }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (!open_.load()) after_stop.fetch_add(1);
    if (meet.load()) {  // until another one is here too
      inside.set();
      inside.wait(2);
    }
    SkbPool::free(skb);
    taken.fetch_add(1);
    return NetdevTx::kOk;
  }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 8}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  Event inside;
  Atomic<bool> meet{false};
  Atomic<uint32_t> taken{0}, after_stop{0};

 private:
  NetDevice& dev_;
  Atomic<bool> open_{false};
};

struct LltxTest : testing::Test {
  Net net;
  SkbPool pool{256, 128};
  NetdevPtr dev = *net.alloc_netdev<LltxDriver>({.name = "ll0"});
  LltxDriver& driver = *static_cast<LltxDriver*>(dev->driver());
  Reports reports;

  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->open()); }
  void send(int count) {
    SkbBatch frames;
    for (int i = 0; i < count; ++i) {
      Skb* const skb = pool.alloc();
      if (skb == nullptr) break;
      (void)skb->put(60);
      frames.push_back(*skb);
    }
    (void)dev->xmit(dev->tx_queue(0), frames);
    SkbPool::free(frames);
  }
};

TEST_F(LltxTest, TwoAreInStartXmitAtOnce) {
  driver.meet.store(true);
  Thread other("other", [this] { send(1); });
  send(1);
  other.join();
  EXPECT_EQ(driver.taken.load(), 2u);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LltxTest, CloseReturnsWhenNobodyIsInStartXmitAndTheFilterChangesMeanwhile) {
  Atomic<bool> over{false};
  std::vector<Thread> senders;
  for (int i = 0; i < 2; ++i) {
    senders.emplace_back("sender", [&] {
      while (!over.load()) send(8);
    });
  }
  for (uint64_t round = 1; round <= 50; ++round) {
    const MacAddress wanted = MacAddress::from_u64(0x0200'0000'1000 + round);
    ASSERT_TRUE(dev->uc().add(wanted));
    ASSERT_TRUE(dev->close());
    ASSERT_TRUE(dev->open());
    ASSERT_TRUE(dev->uc().del(wanted));
  }
  over.store(true);
  for (Thread& sender : senders) sender.join();
  EXPECT_EQ(driver.after_stop.load(), 0u);
  EXPECT_EQ(reports.rules(), "");
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
