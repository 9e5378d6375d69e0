// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device goes while something of it is on its way: what is in the driver is seen through, nothing enters afterwards,
// and whoever has a handle keeps only memory. Events, no time: what takes "five seconds" takes an hour, and is stopped.
#include <gtest/gtest.h>

#include <functional>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/address_list.h"
#include "usernic/napi.h"
#include "usernic/rx_mode.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// Each way into the driver can be held up, and notes whether the driver is still there.
class HeldUp {
 public:
  explicit HeldUp(NetDevice& dev) : napi(dev, *this), dev_(dev) {}
  Result<> open() {
    napi.enable();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    napi.disable();
    stopped.store(true);
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    hold(in_xmit);
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  int poll(Napi& polled, int) noexcept USERNIC_NONBLOCKING {
    hold(in_poll);
    (void)polled.complete_done(0);
    return 0;
  }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 4, .multicast_slots = 4}; }
  void set_rx_mode_async(RxPlan& plan) {
    if (slow.load()) {
      in_command.set();
      was_stopped.store(plan.stop().wait_until(Clock::now() + std::chrono::hours(1)));
    }
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }

  Napi napi;
  Event in_xmit, in_poll, in_command, go_on;
  Atomic<bool> held{false}, slow{false}, stopped{false}, was_stopped{false}, after_stop{false};

 private:
  void hold(Event& entered) noexcept {
    const BlockingByDesign a_test_may;
    if (stopped.load()) after_stop.store(true);
    entered.set();
    if (held.load()) (void)go_on.wait();
    if (stopped.load()) after_stop.store(true);
  }
  NetDevice& dev_;
};

struct UnplugTest : testing::Test {
  Net net;
  SkbPool pool{16, 128};
  NetdevPtr dev = *net.alloc_netdev<HeldUp>({.name = "t0", .watchdog = Duration::max()});
  HeldUp& driver = *static_cast<HeldUp*>(dev->driver());
  const DeviceHandle handle{*dev};
  Event gone;

  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->open()); }
  void TearDown() override { EXPECT_EQ(pool.available(), 16u); }
  Thread unplug() {
    return Thread("unplug", [this] {
      dev->unregister_netdev();
      EXPECT_FALSE(driver.after_stop.load());
      dev.reset();
      gone.set();
    });
  }
  void expect_only_memory() {
    EXPECT_EQ(handle->reg_state(), RegState::kReleased);
    EXPECT_EQ(outcome(handle->open()), "ENODEV");
    EXPECT_EQ(outcome(handle->change_mtu(1400)), "ENODEV");
    EXPECT_EQ(handle->mtu(), 1500u) << "who has it open may still look";
    EXPECT_EQ(handle->name(), "t0");
  }
};

TEST_F(UnplugTest, WhilePolling) {
  driver.held.store(true);
  driver.napi.schedule();
  ASSERT_TRUE(driver.in_poll.wait());
  Thread unplugging = unplug();
  EXPECT_TRUE(gone.stays_away()) << "the poll is in the driver";
  driver.go_on.set();
  ASSERT_TRUE(gone.wait());
  expect_only_memory();
}

TEST_F(UnplugTest, WhileTransmitting) {
  driver.held.store(true);
  Thread sender("sender", [&] { send(*handle, pool, All(4, Frame(60))); });
  ASSERT_TRUE(driver.in_xmit.wait());
  Thread unplugging = unplug();
  EXPECT_TRUE(gone.stays_away()) << "a frame is in the driver";
  driver.go_on.set();
  ASSERT_TRUE(gone.wait());
  sender.join();
  expect_only_memory();
}

TEST_F(UnplugTest, WhileACommandTakesForEver) {
  driver.slow.store(true);
  ASSERT_TRUE(dev->mc().add(kGroup));
  ASSERT_TRUE(driver.in_command.wait());
  Atomic<bool>& was_stopped = driver.was_stopped;
  dev->unregister_netdev();
  EXPECT_TRUE(was_stopped.load()) << "it is asked to stop, and does";
  dev.reset();
  expect_only_memory();
}

TEST_F(UnplugTest, WhileSomebodyAwaitsATicket) {
  driver.slow.store(true);
  ASSERT_TRUE(dev->mc().add(kGroup));
  ASSERT_TRUE(driver.in_command.wait());
  std::string waited;
  Event waits;
  Thread waiter("waiter", [&] {
    const RxTicket ticket = handle->rx_mode().ticket(kGroup);
    waits.set();
    waited = outcome(handle->rx_mode().wait(ticket, Clock::now() + std::chrono::hours(1)));
  });
  ASSERT_TRUE(waits.wait());
  Thread unplugging = unplug();
  ASSERT_TRUE(gone.wait());
  waiter.join();
  EXPECT_TRUE(waited == "ENODEV" || waited == "ENETDOWN" || waited == "ok") << waited;
  expect_only_memory();
}

// Found out in the driver itself: in start_xmit, in a completion, in its poll.
TEST_F(UnplugTest, FoundOutByItsDriverInTheMiddleOfThings) {
  driver.held.store(true);
  driver.napi.schedule();
  ASSERT_TRUE(driver.in_poll.wait());
  dev->detach_soon();
  EXPECT_FALSE(dev->present());
  send(*dev, pool, All(4, Frame(60)));
  EXPECT_EQ(driver.in_xmit.count(), 0u) << "nothing is sent any more";
  Thread unplugging = unplug();
  driver.go_on.set();
  ASSERT_TRUE(gone.wait());
  expect_only_memory();
}

TEST_F(UnplugTest, WithAllOfItAtOnce) {
  driver.slow.store(true);
  ASSERT_TRUE(dev->mc().add(kGroup));
  ASSERT_TRUE(driver.in_command.wait());
  driver.held.store(true);
  driver.napi.schedule();
  ASSERT_TRUE(driver.in_poll.wait());
  Thread sender("sender", [&] { send(*handle, pool, All(4, Frame(60))); });
  ASSERT_TRUE(driver.in_xmit.wait());
  Thread unplugging = unplug();
  driver.go_on.set();
  ASSERT_TRUE(gone.wait());
  sender.join();
  expect_only_memory();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
