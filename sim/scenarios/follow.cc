// SPDX-License-Identifier: Apache-2.0 OR MIT
// Stacked devices: several bring one list over to another while it changes.
#include <fmt/format.h>

#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"

namespace usernic::sim {
namespace {

MacAddress group(uint64_t n) {
  return MacAddress::from_u64(0x0300'0000'0000 | (n + 1));
}

void change(NetDevice& upper, NetDevice& lower, Chance chance, uint64_t addresses) {
  for (uint64_t i = chance.between(4, 12); i > 0; --i) {
    const MacAddress address = group(chance.below(addresses));
    if (upper.mc().contains(address) && chance.one_in(2)) {
      (void)upper.mc().del(address);
    } else {
      (void)upper.mc().add(address);
    }
    if (!chance.one_in(4))
      expect(sync(lower.mc(), upper.mc()).has_value(), "sync", "a list cannot be synced from another");
    if (chance.one_in(16)) unsync(lower.mc(), upper.mc());
  }
}

// In order, whatever was taken twice.
std::string wanted(NetDevice& dev) {
  std::string text;
  for (const MacAddress& address : dev.mc().snapshot()) text += " " + address.to_string();
  return text;
}

}  // namespace

void play_follow(Chance chance) {
  Net net;
  Card card_above({}, {}, chance.stream(20)), card_below({.multicast_slots = 8}, {}, chance.stream(21));
  NetdevPtr upper = *net.alloc_netdev<CardDriver>({.name = "upper", .address = RxWorld::own(0)}, card_above);
  NetdevPtr lower = *net.alloc_netdev<CardDriver>({.name = "lower", .address = RxWorld::own(1)}, card_below);
  for (NetDevice* dev : {upper.get(), lower.get()}) (void)dev->register_netdev();
  const uint64_t addresses = chance.between(1, 4);
  together({{"syncs-1", [&, c = chance.stream(1)] { change(*upper, *lower, c, addresses); }},
            {"syncs-2", [&, c = chance.stream(2)] { change(*upper, *lower, c, addresses); }},
            {"syncs-3", [&, c = chance.stream(3)] { change(*upper, *lower, c, addresses); }}});
  expect(sync(lower->mc(), upper->mc()).has_value(), "sync", "a list cannot be synced from another");
  if (wanted(*upper) != wanted(*lower)) {
    found("follows", fmt::format("above:{}\nbelow:{}", wanted(*upper), wanted(*lower)));
  }
  unsync(lower->mc(), upper->mc());
  expect(lower->mc().size() == 0, "follows", "something is left below after unsync");
}

}  // namespace usernic::sim
