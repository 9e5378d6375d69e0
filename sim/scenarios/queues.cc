// SPDX-License-Identifier: Apache-2.0 OR MIT
// The data path's hand-shakes: NAPI's ownership, a transmit queue that stops and is woken, and those who wait for it
// from above.
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/lower_link.h"
#include "usernic/napi.h"
#include "usernic/port.h"
#include "usernic/thread.h"

namespace usernic::sim {
namespace {

// A card with frames to fetch and an interrupt that fires once when armed.
struct PolledCard {
  uint64_t arrived = 0, fetched = 0;
  bool armed = false;
  bool open = false;
  bool polling = false;
};

class PolledDriver {
 public:
  PolledDriver(NetDevice& dev, PolledCard& card) : card_(card), napi(dev, *this, 2) {}
  Result<> open() { return start(), Result<>(); }
  void stop() { pause(); }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }

  void start() {
    card_.open = true;
    napi.enable();
    arm();
  }
  void pause() {
    card_.armed = false;
    napi.disable();
    expect(!card_.polling, "napi", "a poll runs after disable has returned");
    card_.open = false;
  }
  void arm() noexcept USERNIC_NONBLOCKING {
    card_.armed = true;
    interrupt();
  }
  // The card's side: a frame came, or somebody armed.
  void interrupt() noexcept USERNIC_NONBLOCKING {
    if (!card_.armed || card_.fetched == card_.arrived) return;
    card_.armed = false;
    const HardIrqScope irq;
    napi.schedule();
  }
  int poll(Napi& polled, int budget) noexcept USERNIC_NONBLOCKING {
    expect(!std::exchange(card_.polling, true), "napi", "two polls at once");
    expect(card_.open, "napi", "a poll while disabled");
    int work = 0;
    while (work < budget && card_.fetched < card_.arrived) {
      point("fetch");
      expect(card_.open, "napi", "a poll while disabled");
      ++card_.fetched;
      ++work;
    }
    card_.polling = false;
    if (work < budget && polled.complete_done(work)) arm();
    return work;
  }

 private:
  PolledCard& card_;

 public:
  Napi napi;
};

void await(const std::function<bool()>& condition) {
  while (!condition()) (void)StopToken().wait_until(Clock::now() + std::chrono::milliseconds(1));
}

}  // namespace

void play_napi(Chance chance) {
  Net net;
  PolledCard card;
  NetdevPtr dev = *net.alloc_netdev<PolledDriver>({.name = "napi", .address = RxWorld::own(0)}, card);
  auto& driver = *static_cast<PolledDriver*>(dev->driver());
  expect(dev->register_netdev() && dev->open(), "open", "the device cannot be opened");
  const auto arrive = [&](Chance c) {
    for (int i = 0; i < 8; ++i) {
      ++card.arrived;
      point("arrives");
      driver.interrupt();
      if (c.one_in(4)) driver.napi.schedule();  // somebody else wants a poll too
    }
  };
  together({{"wire-1", [&, c = chance.stream(1)] { arrive(c); }},
            {"wire-2", [&, c = chance.stream(2)] { arrive(c); }},
            {"admin", [&, n = chance.between(1, 4)] {
               for (uint64_t i = 0; i < n; ++i) {
                 (void)dev->close();
                 (void)dev->open();
               }
             }}});
  const Time patience = Clock::now() + std::chrono::seconds(1);
  await([&] { return card.fetched == card.arrived || Clock::now() > patience; });
  expect(card.fetched == card.arrived, "napi", "frames wait, and nobody polls");
  (void)dev->close();
}

namespace {

// A ring of a few descriptors that another thread completes.
struct SendingCard {
  uint32_t size = 1;
  bool stops_first = false;  // its driver stops before it looks for room, each time
  uint64_t put = 0, done = 0;
  uint32_t room() const noexcept { return size - static_cast<uint32_t>(put - done); }
};

class SendingDriver {
 public:
  SendingDriver(NetDevice& dev, SendingCard& card) : dev_(dev), card_(card) {}
  Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    if (room() == 0) {
      queue.stop();  // somebody woke it too early
      if (room() == 0) return NetdevTx::kBusy;
      queue.start();
    }
    point("put");
    expect(card_.room() != 0, "tx", "a frame is put on a full ring");
    if (card_.stops_first) queue.stop();
    ++card_.put;
    SkbPool::free(skb);
    if (card_.stops_first) {
      if (room() != 0) queue.start();
      return NetdevTx::kOk;
    }
    queue.maybe_stop([this]() noexcept { return room(); }, 1);
    return NetdevTx::kOk;
  }
  void complete() {
    const BhScope bh;
    ++card_.done;
    dev_.tx_queue(0).maybe_wake([this]() noexcept { return room(); }, 1);
  }

 private:
  uint32_t room() noexcept {
    point("room");
    return card_.room();
  }
  NetDevice& dev_;
  SendingCard& card_;
};

struct WakePort final : DevicePort {
  Atomic<uint32_t> wakes{0};
  void receive(SkbBatch&) noexcept USERNIC_NONBLOCKING override {}
  void tx_wake(TxQueue&) noexcept USERNIC_NONBLOCKING override {
    wakes.fetch_add(1);
    wake_all(wakes);
  }
  void carrier_changed(bool) noexcept USERNIC_NONBLOCKING override {}
};

}  // namespace

void play_tx_queue(Chance chance) {
  Net net;
  SkbPool pool(32, 64);
  SendingCard card{.size = static_cast<uint32_t>(chance.between(1, 3))};
  NetdevPtr dev = *net.alloc_netdev<SendingDriver>({.name = "tx", .address = RxWorld::own(0)}, card);
  auto& driver = *static_cast<SendingDriver*>(dev->driver());
  WakePort port;
  expect(dev->register_netdev() && dev->open() && dev->attach_port(port), "open", "the device cannot be opened");
  TxQueue& queue = dev->tx_queue(0);
  uint64_t handed_in = 0;
  Atomic<bool> sending{true};
  const auto send = [&](Chance c) {
    for (int i = 0; i < 5; ++i) {
      SkbBatch batch;
      pool.alloc(batch, static_cast<uint32_t>(c.between(1, 3)));
      handed_in += batch.size();
      while (true) {
        const uint32_t seen = port.wakes.load();
        dev->xmit(queue, batch);
        if (batch.empty()) break;
        if (queue.stopped()) wait_on(port.wakes, seen);
      }
    }
  };
  Thread completer("card", [&] {
    while (sending.load() || card.done != card.put) {
      if (card.done != card.put) driver.complete();
      (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(20));
    }
  });
  {
    Thread one("sender-1", [&, c = chance.stream(1)] { send(c); });
    Thread two("sender-2", [&, c = chance.stream(2)] { send(c); });
  }
  sending.store(false);
  completer.join();
  const LinkStats stats = dev->stats();
  expect(stats.tx_packets + stats.tx_dropped == handed_in, "frames", "frames in are not frames out and drops");
  expect(stats.tx_packets == card.put, "frames", "the queue counts other frames than the card");
  dev->detach_port();
  (void)dev->close();
  expect(pool.available() == 32, "frames", "a frame is lost");
}

namespace {

// Hands everything to the device below.
class PassingUpper {
 public:
  explicit PassingUpper(NetDevice& dev) : dev_(dev), changed_([] {}, &dev), link_(dev, dev.lane(), changed_) {}
  Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING { return link_.xmit(skb, queue); }
  void link(NetDevice& lower) {
    const MutexGuard rtnl(dev_.net().rtnl());
    expect(link_.link(lower).has_value(), "open", "the upper device cannot be linked");
  }
  void unlink() {
    const MutexGuard rtnl(dev_.net().rtnl());
    link_.unlink();
  }

 private:
  NetDevice& dev_;
  Work changed_;
  LowerLink link_;
};

}  // namespace

void play_back_pressure(Chance chance) {
  Net net;
  SkbPool pool(64, 64);
  SendingCard card{.size = static_cast<uint32_t>(chance.between(1, 3)), .stops_first = chance.one_in(2)};
  NetdevPtr low = *net.alloc_netdev<SendingDriver>({.name = "low", .address = RxWorld::own(0)}, card);
  auto& driver = *static_cast<SendingDriver*>(low->driver());
  std::vector<NetdevPtr> stack;
  expect(low->register_netdev() && low->open(), "open", "the device cannot be opened");
  for (uint64_t i = chance.between(1, 2); i > 0; --i) {
    NetDevice& below = stack.empty() ? *low : *stack.back();
    stack.push_back(*net.alloc_netdev<PassingUpper>({.name = "up%d", .address = RxWorld::own(0)}));
    expect(stack.back()->register_netdev() && stack.back()->open(), "open", "an upper device cannot be opened");
    static_cast<PassingUpper*>(stack.back()->driver())->link(below);
  }
  NetDevice& top = *stack.back();
  WakePort port;
  expect(top.attach_port(port).has_value(), "open", "the port cannot be attached");
  Atomic<bool> over{false};
  Thread completer("card", [&] {
    while (!over.load()) {
      if (card.done != card.put) driver.complete();
      (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(20));
    }
  });
  uint64_t handed_in = 0;
  const auto patience = [] { return Clock::now() + std::chrono::seconds(1); };
  together({{"above",
             [&, c = chance.stream(1)]() mutable {
               for (int i = 0; i < 6; ++i) {
                 SkbBatch batch;
                 pool.alloc(batch, static_cast<uint32_t>(c.between(1, 3)));
                 handed_in += batch.size();
                 for (uint32_t seen = port.wakes.load(); !batch.empty(); seen = port.wakes.load()) {
                   top.xmit(top.tx_queue(0), batch);
                   if (batch.empty() || !top.tx_queue(0).xmit_stopped()) continue;
                   expect(wait_on(port.wakes, seen, patience()), "tx", "a sender waits above, and nobody wakes it");
                 }
               }
             }},
            {"beside", [&, c = chance.stream(2)]() mutable {
               for (uint64_t i = c.between(1, 12); i > 0; --i) {
                 SkbBatch batch;
                 pool.alloc(batch, static_cast<uint32_t>(c.between(1, 2)));
                 low->xmit(low->tx_queue(0), batch);
                 SkbPool::free(batch);
               }
             }}});
  const Time enough = patience();
  const auto out = [&] {
    return top.stats().tx_packets + top.stats().tx_dropped == handed_in && pool.available() == 64;
  };
  await([&] { return out() || Clock::now() > enough; });
  expect(out(), "tx", "frames wait for a queue below, and nobody tells");
  over.store(true);
  completer.join();
  top.detach_port();
  for (const NetdevPtr& each : stack) static_cast<PassingUpper*>(each->driver())->unlink();
}

}  // namespace usernic::sim
