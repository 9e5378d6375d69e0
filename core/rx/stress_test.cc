// SPDX-License-Identifier: Apache-2.0 OR MIT
// Everything at once, on real threads: for TSan and ASan to watch, and for the card to be right in the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/chance.h"
#include "testing/watch.h"
#include "usernic/address_list.h"
#include "usernic/napi.h"
#include "usernic/notifier.h"
#include "usernic/port.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

constexpr int kOperations = 2'000;  // of each thread

// A card whose commands fail now and then, and that receives by NAPI.
class StressDriver : public TestDriver {
 public:
  StressDriver(NetDevice& dev, TestCard& card, SkbPool& pool) : TestDriver(dev, card), dev_(dev), pool_(pool) {}

  Result<> open() {
    if (const Result<> opened = TestDriver::open(); !opened) return opened;
    napi.enable();
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return {};
  }
  void stop() {
    napi.disable();
    TestDriver::stop();
  }
  int poll(Napi& polled, int budget) noexcept {
    SkbBatch frames;
    pool_.alloc(frames, 8);
    const int work = static_cast<int>(frames.size());
    polled.receive(frames);
    if (work < budget) polled.complete_done(work);
    return work;
  }

 private:
  NetDevice& dev_;
  SkbPool& pool_;

 public:
  Napi napi{dev_, *this};
};

struct QuietPort final : DevicePort {
  Atomic<bool> attached{false};
  Atomic<bool> used_while_detached{false};
  Atomic<uint64_t> frames{0};
  void check() noexcept {
    if (!attached.load()) used_while_detached.store(true);
  }
  void receive(SkbBatch& batch) noexcept override {
    check();
    frames.fetch_add(batch.size());
  }
  void tx_wake(TxQueue&) noexcept override { check(); }
  void carrier_changed(bool) noexcept override { check(); }
};

// One device with its card.
struct Station {
  SkbPool pool{64, 64};
  TestCard card;
  Chance fate;  // under the card's mutex
  Atomic<bool> failing{true};
  QuietPort port;
  NetdevPtr dev;
  StressDriver* driver = nullptr;

  Station(Net& net, const std::string& name, uint64_t seed) : fate(seed) {
    card.decide = [this](const RxCommand&, bool& apply) -> Result<> {
      if (!failing.load() || !fate.one_in(5)) return {};
      apply = fate.one_in(2);  // an error says nothing of what the card did
      return fail(std::errc::io_error);
    };
    dev = *net.alloc_netdev<StressDriver>({.name = name, .tx_queues = 2, .rx_retry = milliseconds(1)}, card, pool);
    driver = static_cast<StressDriver*>(dev->driver());
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    EXPECT_EQ(outcome(dev->open()), "ok");
  }
  // The card loses its filter. No command is carried out between the loss and the word of it.
  void forget() {
    const MutexGuard guard(card.mutex);
    card.reset();
    dev->rx_mode().card_forgot();
  }
};

void change_lists(Station& station, uint64_t seed) {
  Chance chance(seed);
  int promiscuity = 0, allmulti = 0;
  const auto toggle = [&](int& held, auto&& set) {
    const int change = held == 0 ? 1 : -1;
    if (set(change)) held += change;
  };
  RxMode& mode = station.dev->rx_mode();
  for (int i = 0; i < kOperations; ++i) {
    const MacAddress unicast = uc(1 + chance.below(8)), multicast = mc(1 + chance.below(24));
    switch (chance.below(10)) {
      case 0:
        (void)station.dev->uc().add(unicast);
        break;
      case 1:
        (void)station.dev->uc().del(unicast);
        break;
      case 2:
        (void)station.dev->uc().add_excl(unicast);
        break;
      case 3:
      case 4:
        (void)station.dev->mc().add(multicast);
        break;
      case 5:
        (void)station.dev->mc().del(multicast);
        break;
      case 6:
        (void)station.dev->mc().add_global(multicast);
        break;
      case 7:
        (void)station.dev->mc().del_global(multicast);
        break;
      case 8:
        toggle(promiscuity, [&](int change) { return mode.set_promiscuity(change).has_value(); });
        break;
      case 9:
        toggle(allmulti, [&](int change) { return mode.set_allmulti(change).has_value(); });
        break;
    }
    if (chance.one_in(200)) (void)station.dev->mc().flush();
  }
  if (promiscuity != 0) (void)mode.set_promiscuity(-1);
  if (allmulti != 0) (void)mode.set_allmulti(-1);
}

void operate(Station& station, uint64_t seed) {
  Chance chance(seed);
  for (int i = 0; i < kOperations / 6; ++i) {
    switch (chance.below(7)) {
      case 0:
      case 1:
        (void)station.dev->open();
        break;
      case 2:
        (void)station.dev->close();
        break;
      case 3:
        (void)station.dev->change_mtu(1000 + static_cast<uint32_t>(chance.below(500)));
        break;
      case 4:
        (void)station.dev->set_mac_address(uc(0x1000 + chance.below(100)));
        break;
      case 5:
        (void)station.dev->detach();
        break;
      case 6:
        (void)station.dev->attach();
        break;
    }
    if (chance.one_in(4)) station.forget();
  }
}

void read(const DeviceHandle& dev, uint64_t seed) {
  Chance chance(seed);
  for (int i = 0; i < kOperations / 4; ++i) {
    const RxModeStatus status = dev->rx_mode().status();
    EXPECT_LE(status.generation_programmed, status.generation_wanted);
    (void)dev->stats();
    (void)dev->name();
    (void)dev->mc().snapshot();
    const MacAddress address = mc(1 + chance.below(24));
    (void)dev->rx_mode().covered(address);
    (void)dev->rx_mode().wait(dev->rx_mode().ticket(address), Clock::now() + milliseconds(chance.below(3)));
  }
}

void send_and_receive(Station& station, uint64_t seed) {
  Chance chance(seed);
  for (int i = 0; i < kOperations * 2; ++i) {
    SkbBatch frames;
    station.pool.alloc(frames, 4);
    station.dev->xmit(station.dev->tx_queue(static_cast<uint16_t>(chance.below(2))), frames);
    station.driver->napi.schedule();
    if (chance.one_in(16)) chance.one_in(2) ? station.dev->carrier_off() : station.dev->carrier_on();
    if (chance.one_in(8)) station.dev->tx_queue(0).wake();
  }
}

void plug_ports(Station& station) {
  for (int i = 0; i < kOperations / 3; ++i) {
    station.port.attached.store(true);
    EXPECT_EQ(outcome(station.dev->attach_port(station.port)), "ok");
    std::ignore = station.dev->stats();
    station.dev->detach_port();
    station.port.attached.store(false);
  }
}

// Devices of the same name come and go; others hold handles and references of them.
void come_and_go(Net& net, uint64_t seed) {
  Chance chance(seed);
  SkbPool pool(8, 64);
  for (int i = 0; i < kOperations / 10; ++i) {
    TestCard card;
    NetdevPtr dev = *net.alloc_netdev<StressDriver>({.name = "guest%d", .rx_retry = milliseconds(1)}, card, pool);
    if (!dev->register_netdev()) continue;  // a notifier said no
    if (chance.one_in(2)) (void)dev->open();
    (void)dev->mc().add(mc(i + 1));
    if (chance.one_in(2)) dev->unregister_netdev();
  }
}

void visit_guests(Net& net, uint64_t seed) {
  Chance chance(seed);
  for (int i = 0; i < kOperations; ++i) {
    const DeviceHandle guest = net.find("guest0");
    if (!guest) continue;
    (void)guest->stats();
    (void)guest->uc().add(uc(1 + chance.below(50)));
    (void)guest->rx_mode().covered(uc(1));
    if (chance.one_in(4)) (void)guest->open();
    if (chance.one_in(8)) (void)guest->change_mtu(1400);
    if (chance.one_in(8)) (void)guest->rx_mode().settle(Clock::now());
  }
}

// What is wanted, what the core believes and what the card holds, side by side.
void expect_converged(Station& station) {
  station.failing.store(false);
  EXPECT_EQ(outcome(station.dev->attach()), "ok");
  EXPECT_EQ(outcome(station.dev->open()), "ok");
  ASSERT_EQ(outcome(station.dev->rx_mode().settle(soon())), "ok") << station.dev->rx_mode().status().reason;
  RxModeStatus status = station.dev->rx_mode().status();
  // Settled is "in effect, what failed excepted": an unprogram that failed is still being retried.
  const StopToken never;
  for (const Time deadline = soon(); !status.failed.empty() && Clock::now() < deadline;) {
    (void)never.wait_until(Clock::now() + milliseconds(1));
    status = station.dev->rx_mode().status();
  }
  EXPECT_TRUE(status.failed.empty());
  EXPECT_EQ(status.generation_programmed, status.generation_wanted);
  EXPECT_TRUE(status.uncovered.empty());
  EXPECT_EQ(status.promiscuity, 0u);
  const MutexGuard guard(station.card.mutex);
  EXPECT_EQ(station.card.promisc, status.programmed_promisc);
  EXPECT_EQ(station.card.allmulti, status.programmed_allmulti);
  for (const auto* wanted : {&status.wanted_unicast, &status.wanted_multicast}) {
    for (const MacAddress& address : *wanted) {
      EXPECT_TRUE(station.card.accepts(address)) << address.to_string();
      EXPECT_TRUE(station.dev->rx_mode().covered(address)) << address.to_string();
    }
    const auto& held = station.card.exact[wanted == &status.wanted_multicast];
    EXPECT_TRUE(std::includes(wanted->begin(), wanted->end(), held.begin(), held.end()))
        << "something unwanted is held";
  }
  if (status.multicast_mode == FilterMode::kExact) {
    EXPECT_TRUE(station.card.buckets[1].empty());
  }
}

TEST(StressTest, OneDeviceUnderEverything) {
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {:#x}", seed));
  Net net;
  Station station(net, "a", seed);
  {
    const DeviceHandle handle(*station.dev);
    Thread threads[] = {Thread("lists-1", [&] { change_lists(station, seed + 1); }),
                        Thread("lists-2", [&] { change_lists(station, seed + 2); }),
                        Thread("operate-1", [&] { operate(station, seed + 3); }),
                        Thread("operate-2", [&] { operate(station, seed + 4); }),
                        Thread("read", [&] { read(handle, seed + 5); }),
                        Thread("traffic-1", [&] { send_and_receive(station, seed + 6); }),
                        Thread("traffic-2", [&] { send_and_receive(station, seed + 7); }),
                        Thread("ports", [&] { plug_ports(station); })};
  }
  expect_converged(station);
  EXPECT_FALSE(station.port.used_while_detached.load());
  station.dev.reset();
  EXPECT_EQ(station.pool.available(), 64u) << "no frame is lost";
}

TEST(StressTest, TwoDevicesWhileOthersComeAndGo) {
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {:#x}", seed));
  Net net;
  Chance veto(seed);  // under rtnl
  const Notifier notifier(net, [&](NetdevEvent event, NetDevice& dev) -> Result<> {
    if (event == NetdevEvent::kRegister && dev.name().starts_with("guest") && veto.one_in(4)) {
      return fail(std::errc::permission_denied);
    }
    return {};
  });
  Station a(net, "a", seed + 1), b(net, "b", seed + 2);
  {
    Thread threads[] = {Thread("lists-a", [&] { change_lists(a, seed + 3); }),
                        Thread("lists-b", [&] { change_lists(b, seed + 4); }),
                        Thread("operate-a", [&] { operate(a, seed + 5); }),
                        Thread("operate-b", [&] { operate(b, seed + 6); }),
                        Thread("guests-1", [&] { come_and_go(net, seed + 7); }),
                        Thread("guests-2", [&] { come_and_go(net, seed + 8); }),
                        Thread("visits-1", [&] { visit_guests(net, seed + 9); }),
                        Thread("visits-2", [&] { visit_guests(net, seed + 10); }),
                        Thread("read", [&] { read(DeviceHandle(*b.dev), seed + 11); })};
  }
  expect_converged(a);
  expect_converged(b);
  EXPECT_EQ(net.devices().size(), 2u);
}

TEST(StressTest, AStackedDeviceFollowsAnother) {
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {:#x}", seed));
  Net net;
  Station upper(net, "upper", seed + 1), lower(net, "lower", seed + 2);
  {
    Thread threads[] = {Thread("lists", [&] { change_lists(upper, seed + 3); }),
                        Thread("operate", [&] { operate(lower, seed + 4); }), Thread("follow", [&] {
                          for (int i = 0; i < kOperations; ++i) {
                            EXPECT_EQ(outcome(sync(lower.dev->mc(), upper.dev->mc())), "ok");
                            if (i % 50 == 49) unsync(lower.dev->mc(), upper.dev->mc());
                          }
                        })};
  }
  EXPECT_EQ(outcome(sync(lower.dev->mc(), upper.dev->mc())), "ok");
  EXPECT_EQ(lower.dev->mc().snapshot(), upper.dev->mc().snapshot());
  expect_converged(lower);
  expect_converged(upper);
  unsync(lower.dev->mc(), upper.dev->mc());
  EXPECT_EQ(lower.dev->mc().size(), 0u);
}

}  // namespace
}  // namespace usernic
