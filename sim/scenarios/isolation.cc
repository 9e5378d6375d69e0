// SPDX-License-Identifier: Apache-2.0 OR MIT
// Invariant 4: nobody waits for somebody else's card. One card takes seconds for every call, while its device is
// changed, reset, closed, opened, detached and unregistered; beside it others live, and are timed.
#include <optional>

#include "sim/promptly.h"
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kSlowMin = seconds(5);

void nap(Chance& chance) {
  if (chance.one_in(2)) (void)StopToken().wait_until(Clock::now() + milliseconds(chance.below(8000)));
}

RxWorldConfig quick_world(Chance& chance) {
  RxWorldConfig config = random_world(chance);
  config.temper = {.latency = chance.one_in(2) ? milliseconds(chance.between(1, 5)) : Duration::zero()};
  return config;
}

// The life of a device, from its registration to its end.
void live(Net& net, Chance chance) {
  const RxWorldConfig config = quick_world(chance);
  std::optional<RxWorld> world;
  promptly("register and open", [&] { world.emplace(config, chance.stream(1), net); });
  NetDevice& dev = world->dev();
  for (uint64_t i = chance.between(1, 4); i > 0; --i) {
    nap(chance);
    const MacAddress address = world->addresses()[chance.below(world->addresses().size() - 3)];
    promptly("an address", [&] { (void)world->list_of(address).add(address); });
    promptly("its ticket", [&] { (void)dev.rx_mode().wait(dev.rx_mode().ticket(address), kForever); });
    if (chance.one_in(2)) promptly("the MTU", [&] { (void)dev.change_mtu(1000 + uint32_t(chance.below(3))); });
    if (chance.one_in(2))
      promptly("the own address", [&] { (void)dev.set_mac_address(RxWorld::own(chance.below(3))); });
    if (chance.one_in(2)) promptly("detach and attach", [&] { (void)dev.detach(), world->card().resume(dev); });
    promptly("reading", [&] {
      (void)dev.stats();
      (void)dev.rx_mode().status();
      for (const DeviceHandle& each : net.devices()) (void)each->stats();
      (void)net.find(dev.name());
    });
  }
  nap(chance);
  promptly("settle", [&] { world->converge(); });
  promptly("close and unregister", [&] { world->unregister(); });
}

// Changing what is wanted of the slow device, and reading of it, waits for no card either.
void change_and_read(RxWorld& slow, Chance chance) {
  for (uint64_t i = chance.between(2, 6); i > 0; --i) {
    promptly("a change on the slow device", [&] { slow.change(chance.stream(i), 1); });
    promptly("reading the slow device", [&] {
      (void)slow.dev().stats();
      slow.read(chance.stream(i), 1);
    });
    nap(chance);
  }
}

void operate(RxWorld& slow, Chance chance) {
  for (uint64_t i = chance.below(4); i > 0; --i) {
    nap(chance);
    switch (chance.below(4)) {
      case 0:
        (void)slow.dev().change_mtu(1000 + static_cast<uint32_t>(chance.below(5)));
        break;
      case 1:
        slow.change_own(chance.stream(i), 1);
        break;
      case 2:
        slow.reset(chance.stream(i), 1);
        break;
      case 3:
        slow.reopen(chance.stream(i), 1);
        break;
    }
  }
}

}  // namespace

void play_isolation(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.temper.latency = kSlowMin + seconds(chance.below(20));
  config.temper.deaf_to_stop = chance.one_in(2);
  Net net;
  RxWorld slow(config, chance, net);
  const bool removed = chance.one_in(3);
  together({{"user", [&, c = chance.stream(1)] { change_and_read(slow, c); }},
            {"admin-1", [&, c = chance.stream(2)] { operate(slow, c); }},
            {"admin-2", [&, c = chance.stream(3)] { operate(slow, c); }},
            {"neighbour-1", [&, c = chance.stream(4)] { live(net, c); }},
            {"neighbour-2", [&, c = chance.stream(5)] { live(net, c); }},
            {"remover", [&, c = chance.stream(6)]() mutable {
               nap(c);
               if (!removed) return;
               slow.dev().unregister_netdev();
               slow.card().unregistered = true;
             }}});
  if (removed) return;
  slow.converge();
  slow.unregister();
}

}  // namespace usernic::sim
