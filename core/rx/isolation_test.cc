// SPDX-License-Identifier: Apache-2.0 OR MIT
// Nobody waits for somebody else's card: while one driver call hangs, every other device lives as ever, and what is
// asked of the stuck one ends as soon as its bus lets go.
//
// Nothing here is timed. The stuck call ends when the test says so, or when it is asked to stop; what is claimed to be
// independent of it has to come to its end before that.
#include <gtest/gtest.h>

#include <memory>

#include "core/device/device.h"
#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/upper.h"
#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

// A card whose bus hangs in the first call after `hang`.
struct Bus {
  enum class Hang { kNever, kUntilStopped, kUntilFreed };
  Atomic<Hang> hang{Hang::kNever};
  Event entered, stopped, freed, left;

  void transfer(StopToken stop) {
    const Hang how = hang.exchange(Hang::kNever);
    if (how == Hang::kNever) return;
    entered.set();
    if (how == Hang::kUntilStopped && stop.wait_until(soon())) stopped.set();
    if (how == Hang::kUntilFreed) (void)freed.wait();
    left.set();
  }
};

class SlowDriver : public TestDriver {
 public:
  SlowDriver(NetDevice& dev, TestCard& card, Bus& bus) : TestDriver(dev, card), bus_(bus) {}
  void set_rx_mode_async(RxPlan& plan) {
    bus_.transfer(plan.stop());
    TestDriver::set_rx_mode_async(plan);
  }
  Result<> change_mtu(uint32_t) { return {}; }
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING { stats.rx_errors += 1; }

 private:
  Bus& bus_;
};

struct Nic {
  TestCard card;
  Bus bus;
  NetdevPtr dev;
  Nic(Net& net, const std::string& name) {
    dev = *net.alloc_netdev<SlowDriver>({.name = name, .rx_retry = std::chrono::milliseconds(1)}, card, bus);
  }
  void up() {
    ASSERT_EQ(outcome(dev->register_netdev()), "ok");
    ASSERT_EQ(outcome(dev->open()), "ok");
    ASSERT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  }
  void hang(Bus::Hang how) {
    bus.hang.store(how);
    ASSERT_EQ(outcome(dev->mc().add(mc(1))), "ok");
    ASSERT_TRUE(bus.entered.wait());
  }
};

// What can be asked of a device which is stuck and makes the caller wait for its lane.
struct Request {
  const char* name;
  Result<> (*ask)(NetDevice& dev);
};
constexpr Request kRequests[] = {
    {"mtu", [](NetDevice& dev) { return dev.change_mtu(1400); }},
    {"address", [](NetDevice& dev) { return dev.set_mac_address(MacAddress::from_u64(0x0200'0000'0099)); }},
    {"detach",
     [](NetDevice& dev) {
       const Result<> detached = dev.detach();
       (void)dev.attach();
       return detached;
     }},
    {"close", [](NetDevice& dev) { return dev.close(); }},
    {"unregister",
     [](NetDevice& dev) {
       dev.unregister_netdev();
       return Result<>();
     }},
    {"by an item",  // as a port asks
     [](NetDevice& dev) {
       Workqueue wishes(dev.net(), "wishes", Workqueue::kOrdered);
       Result<> closed = fail(std::errc::timed_out);
       Work item([&] { closed = dev.close(); });
       wishes.queue(item);
       item.flush();
       return closed;
     }},
};

// All of it, each on a thread of its own. Who comes after the unregistering, or a detach, finds no device.
std::vector<Thread> ask_everything(Nic& nic) {
  NetDevice& dev = *nic.dev;
  std::vector<Thread> threads;
  for (const Request& request : kRequests) {
    threads.emplace_back(request.name, [&dev, &request] {
      const Result<> result = request.ask(dev);
      EXPECT_TRUE(result || result.error() == std::errc::no_such_device) << request.name << ": " << outcome(result);
    });
  }
  dev.rx_mode().card_forgot();
  return threads;
}

// Until all of them wait for the lane: for a call that does not end when it is asked to stop.
void let_all_wait(NetDevice& dev, const std::vector<Thread>& threads) {
  const Time deadline = soon();
  const Event never;
  while (dev.lane().parks() < static_cast<int>(threads.size()) && Clock::now() < deadline) {
    (void)never.wait(1, std::chrono::milliseconds(1));
  }
  EXPECT_EQ(dev.lane().parks(), static_cast<int>(threads.size()));
}

// A whole life beside the stuck one.
void live(Net& net, const std::string& name) {
  Nic nic(net, name);
  nic.up();
  EXPECT_EQ(outcome(nic.dev->mc().add(mc(7))), "ok");
  EXPECT_EQ(outcome(nic.dev->rx_mode().wait(nic.dev->rx_mode().ticket(mc(7)), soon())), "ok");
  EXPECT_EQ(outcome(nic.dev->change_mtu(1300)), "ok");
  EXPECT_EQ(nic.dev->stats().rx_errors, 1u);
  EXPECT_TRUE(nic.dev->rx_mode().status().up);
  EXPECT_EQ(outcome(nic.dev->close()), "ok");
  nic.dev->unregister_netdev();
}

TEST(Isolation, OthersLiveWhileOneIsStuckAndBeingClosedAndUnregistered) {
  Net net;
  Nic stuck(net, "stuck0");
  stuck.up();
  stuck.hang(Bus::Hang::kUntilFreed);
  std::vector<Thread> requests = ask_everything(stuck);
  let_all_wait(*stuck.dev, requests);
  for (int i = 0; i < 5; ++i) live(net, "b%d");
  EXPECT_EQ(net.devices().size(), 1u);
  EXPECT_EQ(stuck.dev->stats().rx_errors, 1u);
  EXPECT_FALSE(stuck.dev->rx_mode().covered(mc(1)));
  EXPECT_EQ(outcome(stuck.dev->mc().add(mc(2))), "ok");
  EXPECT_EQ(stuck.bus.left.count(), 0u) << "all of this happened while the call hung";
  stuck.bus.freed.set();
  requests.clear();
  EXPECT_EQ(stuck.dev->reg_state(), RegState::kUnregistered);
}

TEST(Isolation, WhatIsAskedOfTheStuckOneEndsWhenItsBusIsAskedToStop) {
  Net net;
  Nic stuck(net, "stuck0");
  stuck.up();
  stuck.hang(Bus::Hang::kUntilStopped);
  ask_everything(stuck).clear();  // joins them
  EXPECT_EQ(stuck.bus.stopped.count(), 1u) << "its wait ended by the stop, not by its deadline";
  EXPECT_EQ(stuck.bus.left.count(), 1u);
  EXPECT_EQ(stuck.dev->reg_state(), RegState::kUnregistered);
}

TEST(Isolation, EachRequestAloneAsksTheBusToStopAndEnds) {
  for (const Request& request : kRequests) {
    SCOPED_TRACE(request.name);
    Net net;
    Nic stuck(net, "stuck0");
    stuck.up();
    stuck.hang(Bus::Hang::kUntilStopped);
    EXPECT_EQ(outcome(request.ask(*stuck.dev)), "ok");
    EXPECT_EQ(stuck.bus.stopped.count(), 1u);
    EXPECT_EQ(stuck.bus.left.count(), 1u);
  }
}

TEST(Isolation, OneOfTwoHundredIsStuck) {
  constexpr size_t kNics = 200;
  Net net;
  std::vector<std::unique_ptr<Nic>> nics;
  for (size_t i = 0; i < kNics; ++i) {
    nics.push_back(std::make_unique<Nic>(net, "nic%d"));
    nics.back()->up();
  }
  nics[0]->hang(Bus::Hang::kUntilFreed);
  std::vector<Thread> requests = ask_everything(*nics[0]);
  let_all_wait(*nics[0]->dev, requests);
  for (const auto& nic : nics) EXPECT_EQ(outcome(nic->dev->mc().add(mc(5))), "ok");
  for (size_t i = 1; i < kNics; ++i) {
    RxMode& mode = nics[i]->dev->rx_mode();
    EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(5)), soon())), "ok") << i;
    EXPECT_EQ(outcome(nics[i]->dev->change_mtu(1400)), "ok") << i;
  }
  for (const DeviceHandle& dev : net.devices()) {
    EXPECT_EQ(dev->stats().rx_errors, 1u);
    EXPECT_EQ(dev->rx_mode().status().wanted_multicast.size(), dev->name() == "nic0" ? 2u : 1u);
  }
  EXPECT_EQ(nics[0]->bus.left.count(), 0u);
  nics[0]->bus.freed.set();
  requests.clear();
  EXPECT_EQ(nics[0]->dev->reg_state(), RegState::kUnregistered);
  for (size_t i = 1; i < kNics; ++i) nics[i]->dev->unregister_netdev();
}

// A card that never answers sees a million addresses come and go: what it was not told of leaves nothing behind, and
// what it has keeps the entry that it had. The same of a device above it.
TEST(Isolation, AStuckCardMakesNoMemoryGrow) {
  Net net;
  Nic stuck(net, "stuck0");
  stuck.up();
  const NetdevPtr upper = *net.alloc_netdev<TestUpper>({.name = "up0"});
  ASSERT_EQ(outcome(upper->register_netdev()), "ok");
  ASSERT_EQ(outcome(upper->open()), "ok");
  ASSERT_EQ(outcome(static_cast<TestUpper*>(upper->driver())->add(*stuck.dev)), "ok");
  ASSERT_EQ(outcome(stuck.dev->mc().add(mc(500))), "ok");
  ASSERT_EQ(outcome(upper->mc().add(mc(501))), "ok");
  ASSERT_EQ(outcome(stuck.dev->rx_mode().settle(soon())), "ok");
  stuck.hang(Bus::Hang::kUntilFreed);
  const auto bytes = [&] {
    size_t sum = 0;
    for (NetDevice* dev : {stuck.dev.get(), upper.get()}) {
      const Wanted& wanted = Device::of(*dev).engine.wanted;
      ListGuard guard(wanted.lock, wanted.level());
      sum += wanted.pool.bytes();
    }
    return sum;
  };
  const size_t before = bytes();
  for (uint64_t i = 0; i < 1'000'000; ++i) {
    NetDevice& dev = i % 8 == 0 ? *upper : *stuck.dev;
    ASSERT_TRUE(dev.mc().add(mc(1'000 + i)));
    ASSERT_TRUE(dev.mc().del(mc(1'000 + i)));
    if (i % 64 != 0) continue;
    ASSERT_TRUE(stuck.dev->mc().del(mc(500)));
    ASSERT_TRUE(stuck.dev->mc().add(mc(500)));
    ASSERT_TRUE(upper->mc().del(mc(501)));
    ASSERT_TRUE(upper->mc().add(mc(501)));
  }
  EXPECT_EQ(bytes(), before);
  EXPECT_EQ(stuck.bus.left.count(), 0u);
  stuck.bus.freed.set();
  EXPECT_EQ(outcome(stuck.dev->rx_mode().settle(soon())), "ok");
  EXPECT_EQ(stuck.dev->rx_mode().status().programmed_multicast.size(), 3u);
  upper->unregister_netdev();
  stuck.dev->unregister_netdev();
}

}  // namespace
}  // namespace usernic
