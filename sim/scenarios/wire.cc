// SPDX-License-Identifier: Apache-2.0 OR MIT
// The whole data path: two simnics on a wire send each other frames, while links, cards and devices come and go.
#include <algorithm>
#include <optional>

#include "drivers/simnic/simnic.h"
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/port.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {
namespace {

struct Port final : DevicePort {
  uint64_t received = 0;
  Atomic<uint32_t> wakes{0};
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override { received += frames.size(); }
  void tx_wake(TxQueue&) noexcept USERNIC_NONBLOCKING override {
    wakes.fetch_add(1);
    wake_all(wakes);
  }
  void carrier_changed(bool) noexcept USERNIC_NONBLOCKING override {}
};

SimnicConfig small_card(Chance& chance) {
  return {.unicast_slots = static_cast<uint32_t>(chance.below(3)),
          .multicast_slots = static_cast<uint32_t>(chance.below(3)),
          .multicast_hash_bits = chance.one_in(2) ? 8u : 0u,
          .command_latency_us = chance.below(2000),
          .rx_descriptors = chance.one_in(2) ? 1u : 4u,
          .tx_descriptors = 4,
          .flow_control = !chance.one_in(3)};
}

class Station {
 public:
  Station(Net& net, std::shared_ptr<simnic::Wire> wire, const MacAddress& address, Chance chance)
      : card(std::make_shared<simnic::Card>(small_card(chance), address, std::move(wire))),
        dev(*Simnic::probe(net, {.name = "nic%d", .rx_retry = std::chrono::milliseconds(2)}, card)) {
    expect(dev->register_netdev() && dev->open() && dev->attach_port(port), "open", "a station does not come up");
  }
  ~Station() { dev->detach_port(); }

  void send(const MacAddress& to, int count) {
    for (int i = 0; i < count; ++i) {
      SkbBatch batch;
      if (Skb* skb = pool.alloc()) {
        std::fill_n(skb->put(60), 60, uint8_t{0});
        std::copy(to.octets.begin(), to.octets.end(), skb->data());
        batch.push_back(*skb);
        ++handed_in;
      }
      const Time patience = Clock::now() + std::chrono::seconds(5);
      while (!batch.empty()) {
        const uint32_t seen = port.wakes.load();
        dev->xmit(dev->tx_queue(0), batch);
        if (batch.empty() || !dev->tx_queue(0).stopped()) continue;
        // A device that is down drops; one that is up and full wakes us.
        const bool woken = wait_on(port.wakes, seen, Clock::now() + std::chrono::milliseconds(100));
        if (!woken && dev->running()) expect(Clock::now() < patience, "tx", "a full queue is never woken");
      }
    }
  }

  SkbPool pool{8, 2048};
  Port port;
  uint64_t handed_in = 0;
  std::shared_ptr<simnic::Card> card;
  NetdevPtr dev;
};

void disturb(Station& station, Chance chance) {
  for (uint64_t i = chance.below(5); i > 0; --i) {
    const uint64_t what = chance.below(6);
    note([&] {
      static constexpr const char* kWhat[] = {"reset", "cable", "close and open", "MTU", "join", "fault"};
      return kWhat[what];
    });
    switch (what) {
      case 0:
        station.card->reset();
        break;
      case 1:
        station.card->set_link(false);
        point("cable");
        station.card->set_link(true);
        break;
      case 2:
        (void)station.dev->close();
        (void)station.dev->open();
        break;
      case 3:
        (void)station.dev->change_mtu(chance.one_in(2) ? 1500 : 4000);
        break;
      case 4:
        (void)station.dev->mc().add(MacAddress::from_u64(0x0300'0000'0000 | chance.below(4)));
        break;
      case 5:
        (void)station.card->inject({.applied = chance.one_in(2)});
        break;
    }
  }
}

// The switch at its end of the cable, while somebody else moves the cable; in the end it is on.
void hold_down(Station& station, Chance chance) {
  for (uint64_t i = chance.below(4); i > 0; --i) (void)station.dev->change_carrier(chance.one_in(2));
  (void)station.dev->change_carrier(true);
}

// Every frame that a device was given or heard is in one counter. Both are closed: nothing is on its way.
void check_frames(const Station& from, const Station& to) {
  const LinkStats sent = from.dev->stats(), heard = to.dev->stats();
  expect(from.handed_in == sent.tx_packets + sent.tx_dropped, "frames", "frames sent are not packets and drops");
  const uint64_t on_wire = from.card->counters().tx_frames.load();
  expect(on_wire == sent.tx_packets - sent.tx_errors, "frames", "packets are not frames on the wire and errors");
  expect(on_wire == heard.rx_packets + heard.rx_dropped + heard.rx_errors + heard.rx_filtered + heard.rx_off, "frames",
         "frames on the wire are not frames heard and drops");
  expect(heard.rx_packets == to.port.received, "frames", "packets are not what the port got");
}

// Nobody disturbed: what was sent reached the port, as soon as it was polled.
void check_calm(const Station& from, const Station& to, bool lossless) {
  const auto lost = [&] { return to.card->counters().rx_no_descriptor.load(); };
  const Time patience = Clock::now() + std::chrono::seconds(5);
  while (to.port.received + lost() < from.handed_in && Clock::now() < patience) {
    (void)StopToken().wait_until(Clock::now() + std::chrono::milliseconds(1));
  }
  expect(to.port.received + lost() == from.handed_in, "frames", "frames wait in the card, and nobody polls");
  expect(!lossless || lost() == 0, "lossless", "a receiver that is polled loses a frame for want of a descriptor");
}

}  // namespace

void play_wire(Chance chance) {
  Net net;
  auto wire = std::make_shared<simnic::Wire>("w", net.system_workqueue());
  Station a(net, wire, RxWorld::own(0), chance.stream(10)), b(net, wire, RxWorld::own(1), chance.stream(11));
  const bool calm = chance.one_in(3);
  // A third card whose driver has died: it has no descriptor, and stops the others for its time, but no longer.
  std::optional<simnic::Card> dead;
  if (chance.one_in(3)) {
    dead.emplace(SimnicConfig{}, RxWorld::own(2), wire);
    dead->write(simnic::Reg::kControl, simnic::kControlRx);
  }
  const Time begun = Clock::now();
  together({{"sends-a", [&] { a.send(RxWorld::own(1), 8); }},
            {"sends-b", [&] { b.send(RxWorld::own(0), 8); }},
            {"disturbs-a",
             [&, c = chance.stream(1)] {
               if (!calm) disturb(a, c);
             }},
            {"disturbs-b",
             [&, c = chance.stream(2)] {
               if (!calm) disturb(b, c);
             }},
            {"holds-down-a", [&, c = chance.stream(3)] {
               if (!calm) hold_down(a, c);
             }}});
  for (Station* each : {&a, &b}) {
    each->card->clear_faults();
    expect(each->dev->open().has_value(), "open", "a station does not come up again");
    net.system_workqueue().flush();  // the core hears of a reset in an item of its own
    expect(each->dev->rx_mode().settle(kForever).has_value(), "settle", "settle gives up");
    expect(each->dev->carrier_ok(), "carrier", "the wire is plugged in, nobody holds the link down, and it is down");
    for (const MacAddress& group : each->dev->mc().snapshot()) {
      expect(each->card->accepts(group), "nothing-missed", "a group is wanted and not accepted");
    }
  }
  if (calm) {
    const bool lossless = a.card->capabilities().flow_control && b.card->capabilities().flow_control;
    check_calm(a, b, lossless);
    check_calm(b, a, lossless);
    // Virtual time: nothing else here takes a second.
    const bool to_the_end = Clock::now() - begun >= std::chrono::seconds(1);
    expect(!to_the_end || dead, "pause", "room does not end a pause, but time");
  }
  for (Station* each : {&a, &b}) (void)each->dev->close();
  check_frames(a, b);
  check_frames(b, a);
  for (Station* each : {&a, &b}) expect(each->pool.available() == 8, "frames", "a frame is lost");
}

}  // namespace usernic::sim
