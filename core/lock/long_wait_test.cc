// SPDX-License-Identifier: Apache-2.0 OR MIT
// Who waits long says so. Patience is over at once here, so nothing depends on how fast the machine is.
#include "usernic/long_wait.h"

#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/device_ref.h"
#include "usernic/frame_tap.h"
#include "usernic/napi.h"
#include "usernic/thread.h"
#include "usernic/work.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::long_wait_test {
namespace {

// A driver whose poll waits until it is let go.
struct Poller : PlainDriver {
  explicit Poller(NetDevice& dev) : PlainDriver(dev), napi(dev, *this) {}
  int poll(Napi& of, int) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    in_poll.set();
    go_on.wait();
    of.complete_done(0);
    return 0;
  }
  Napi napi;
  Event in_poll, go_on;
};

struct LongWaitTest : testing::Test {
  LongWaitTest()
      : patience(set_patience({std::chrono::milliseconds(1), std::chrono::milliseconds(1)})),
        handler(set_long_wait_handler([this](const LongWaitNote& note) {
          MutexGuard guard(lock);
          if (note.over) return over.set();
          notes.push_back(note);
          spoken.set();
        })) {}
  ~LongWaitTest() override {
    (void)set_long_wait_handler(std::move(handler));
    (void)set_patience(patience);
  }
  // Runs `waits` until it has spoken twice, then `lets_go`. The last note but for the one that it is over.
  LongWaitNote note_of(std::function<void()> waits, std::function<void()> lets_go) {
    Thread waiter("waiter", std::move(waits));
    EXPECT_TRUE(spoken.wait(2)) << "it speaks again";
    lets_go();
    waiter.join();
    EXPECT_TRUE(over.wait());
    MutexGuard guard(lock);
    return notes.empty() ? LongWaitNote() : notes.back();
  }

  static constexpr LockClass kClass{"long_wait_test"};
  Mutex lock{kClass};
  std::vector<LongWaitNote> notes;  // by whoever waits
  Event spoken, over;
  const Patience patience;
  LongWaitHandler handler;
  Net net;
};

// A tap, and whoever calls it waits until it is let go.
struct SlowTap final : FrameTap {
  uint64_t see(const Skb&, FrameWay) noexcept override {
    in_call.set();
    go_on.wait();
    return 0;
  }
  void settle(uint64_t, FrameFate, DropReason) noexcept override {}
  Event in_call, go_on;
};

struct TapWaitTest : LongWaitTest {
  SkbPool pool{1, 256};
  SlowTap tap;
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "seen0"});
  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->open() && attach_tap(*dev, tap)); }
  LongWaitNote note_while_in_a_call(std::function<void()> waits) {
    Thread receiver("receiver", [&] { receive(*dev, pool, {Frame(60)}); });
    EXPECT_TRUE(tap.in_call.wait());
    return note_of(std::move(waits), [&] { tap.go_on.set(); });
  }
};

TEST_F(TapWaitTest, OneWhoTakesATapOffSaysWhoseAndWhere) {
  std::string entered;
  const LongWaitNote note = note_while_in_a_call([&] {
    entered = next_line();
    detach_tap(*dev, tap);
  });
  EXPECT_EQ(note.what, "calls of a frame tap to end, so that it is taken off");
  EXPECT_EQ(note.device, "seen0 (driver PlainDriver)");
  EXPECT_EQ(at(note.where), entered);
}

TEST_F(TapWaitTest, OneWhoUnregistersADeviceWithTapsSaysSo) {
  const LongWaitNote note = note_while_in_a_call([&] { dev->unregister_netdev(); });
  EXPECT_EQ(note.what, "calls of frame taps to end, so that all are taken off");
  EXPECT_EQ(note.device, "seen0 (driver PlainDriver)");
}

TEST_F(LongWaitTest, OneWhoWaitsForAPollSaysWhoseAndWhere) {
  const NetdevPtr dev = *net.alloc_netdev<Poller>({.name = "slow0"});
  auto& driver = *static_cast<Poller*>(dev->driver());
  ASSERT_TRUE(dev->register_netdev());
  driver.napi.enable();
  (void)driver.napi.schedule();
  ASSERT_TRUE(driver.in_poll.wait());
  std::string entered;
  const LongWaitNote note = note_of(
      [&] {
        entered = next_line();
        driver.napi.disable();
      },
      [&] { driver.go_on.set(); });
  EXPECT_EQ(note.what, "a NAPI instance's poll to end, so that it is disabled");
  EXPECT_EQ(note.device, "slow0 (driver Poller)");
  EXPECT_EQ(at(note.where), entered);
  EXPECT_GE(note.waited, std::chrono::milliseconds(1));
}

TEST_F(LongWaitTest, OneWhoWaitsForALaneSaysWhatRunsThere) {
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "slow0"});
  ASSERT_TRUE(dev->register_netdev());
  Event runs, go_on;
  Work item([&] {
    runs.set();
    go_on.wait();
  });
  dev->lane().queue(item);
  ASSERT_TRUE(runs.wait());
  const LongWaitNote note = note_of([&] { (void)dev->open(); }, [&] { go_on.set(); });
  EXPECT_EQ(note.what, "a lane to be idle, so that it is parked");
  EXPECT_EQ(note.device, "slow0 (driver PlainDriver)");
  EXPECT_TRUE(note.details.starts_with("queue 'lane', which runs '")) << note.details;
  item.flush();
}

TEST_F(LongWaitTest, OneWhoUnregistersSaysWhoHoldsTheDevice) {
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "slow0"});
  ASSERT_TRUE(dev->register_netdev());
  DeviceRef ref(*dev, "a test");
  const LongWaitNote note = note_of([&] { dev->unregister_netdev(); }, [&] { ref.put(); });
  EXPECT_EQ(note.what, "the last reference on a device that is unregistered");
  EXPECT_TRUE(note.details.starts_with("slow0 is held by a test (")) << note.details;
}

TEST_F(LongWaitTest, OneWhoWaitsForAnItemSaysSo) {
  Event runs, go_on;
  Work item([&] {
    runs.set();
    go_on.wait();
  });
  net.system_workqueue().queue(item);
  ASSERT_TRUE(runs.wait());
  EXPECT_EQ(note_of([&] { (void)item.flush(); }, [&] { go_on.set(); }).what, "a work item to end");
}

TEST_F(LongWaitTest, WhoIsNotKeptSaysNothing) {
  (void)set_patience({std::chrono::hours(1), std::chrono::hours(1)});
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "quick0"});
  ASSERT_TRUE(dev->register_netdev() && dev->open() && dev->close());
  dev->unregister_netdev();
  EXPECT_EQ(spoken.count() + over.count(), 0u);
}

}  // namespace
}  // namespace usernic::long_wait_test

USERNIC_UNSEEN_BY_CLANG_END
