// SPDX-License-Identifier: Apache-2.0 OR MIT
// The drivers on top of other devices: frames in are frames out and drops, and what they want is wanted below.
#include <algorithm>
#include <deque>

#include "drivers/bond/bond.h"
#include "drivers/vlan/vlan.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scenarios/traffic.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {
namespace {

void receive(Traffic& traffic, NetDevice& dev, Chance chance, int count, uint16_t vlan = 0) {
  for (int i = 0; i < count; ++i) (void)traffic.receive_one(dev, {.vlan = vlan});
  rest(chance);
}

void change(NetDevice& dev, const std::vector<MacAddress>& addresses, Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    const MacAddress address = addresses[chance.below(addresses.size() - 3)];
    AddressList& list = address.is_multicast() ? dev.mc() : dev.uc();
    (void)(list.contains(address) && chance.one_in(2) ? list.del(address) : list.add(address));
    if (chance.one_in(6)) (void)dev.rx_mode().set_allmulti(chance.one_in(2) ? 1 : -1);
    rest(chance);
  }
}

// What `upper` wants is in the lower device's lists, once, if the link is active; and its card accepts it.
void check_wanted(NetDevice& upper, RxWorld& lower, bool active) {
  for (const MacAddress& address : lower.addresses()) {
    const AddressList& above = address.is_multicast() ? upper.mc() : upper.uc();
    const bool own = address == upper.address() || address == lower.dev().address();
    const bool wanted = active && above.contains(address);
    if (own) continue;
    expect(lower.list_of(address).references(address) == (wanted ? 1u : 0u), "stack",
           "a lower device has other references than its upper told");
    if (wanted) expect(lower.card().accepts(address), "stack", "a card is deaf to what is wanted above");
  }
}

// VLAN ids come and go, as under VLANs; what is left in the end is left.
void change_ids(NetDevice& dev, Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    const auto id = static_cast<uint16_t>(1 + chance.below(3));
    (void)(chance.one_in(3) ? dev.rx_mode().vlan_del(id) : dev.rx_mode().vlan_add(id));
    rest(chance);
  }
}

// The ids that `upper` was told of are the lower device's, if the link is active, and no others; and its card lets them
// pass.
void check_ids(NetDevice& upper, RxWorld& lower, bool active) {
  std::vector<uint16_t> wanted = upper.rx_mode().status().wanted_vlans;
  if (!active) wanted.clear();
  expect(lower.dev().rx_mode().status().wanted_vlans == wanted, "stack", "a lower device has other VLAN ids");
  const auto passes = [&](uint16_t id) { return lower.card().vlan_open || lower.card().vlans.contains(id); };
  expect(std::ranges::all_of(wanted, passes), "stack", "a card is deaf to a VLAN that is wanted above");
}

}  // namespace

void play_bond(Chance chance) {
  Traffic traffic;
  Net net;
  std::deque<RxWorld> slaves;
  RxWorldConfig config = random_world(chance);
  for (uint64_t i = chance.between(2, 3); i > 0; --i) slaves.emplace_back(config, chance.stream(20 + i), net);
  NetdevPtr dev = *Bond::probe(net, {.name = "bond%d", .address = RxWorld::own(1)});
  Bond& bond = Bond::of(*dev);
  expect(dev->register_netdev() && dev->open(), "open", "a bond does not come up");
  for (RxWorld& each : slaves) {
    (void)each.dev().rx_mode().set_vlan_filter(!chance.one_in(4));
    expect(bond.add_lower(each.dev()).has_value(), "link", "a bond takes no slave");
  }
  uint64_t sent = 0;
  const auto disturb = [&](Chance c) {
    for (uint64_t i = c.between(1, 5); i > 0; --i) {
      RxWorld& slave = slaves[c.below(slaves.size())];
      switch (c.below(5)) {
        case 0:
          slave.dev().carrier_off();
          break;
        case 1:
          slave.dev().carrier_on();
          break;
        case 2:
          (void)bond.set_primary(c.one_in(2) ? &slave.dev() : nullptr);
          break;
        case 3:
          (void)bond.remove_lower(slave.dev());
          rest(c);
          (void)bond.add_lower(slave.dev());
          break;
        case 4:
          slave.reopen(c.stream(i), 1);
          break;
      }
      rest(c);
    }
  };
  together({{"user", [&, c = chance.stream(1)] { change(*dev, slaves[0].addresses(), c, 10); }},
            {"ids", [&, c = chance.stream(6)] { change_ids(*dev, c, 6); }},
            {"sender", [&, c = chance.stream(2)] { sent = traffic.send(*dev, c, 4); }},
            {"wire", [&, c = chance.stream(3), n = chance.below(2)] { receive(traffic, slaves[n].dev(), c, 4); }},
            {"disturbs-1", [&, c = chance.stream(4)] { disturb(c); }},
            {"disturbs-2", [&, c = chance.stream(5)] { disturb(c); }}});
  let_everything_happen();
  uint64_t below = 0;
  for (RxWorld& each : slaves) {
    each.bring_up();  // somebody else may be the active one then
    below += each.dev().stats().tx_packets;
  }
  let_everything_happen();
  const DeviceHandle now = bond.active();
  for (RxWorld& each : slaves) {
    each.converge();
    check_wanted(*dev, each, now.get() == &each.dev());
    check_ids(*dev, each, now.get() == &each.dev());
  }
  traffic.check(*dev, sent);
  expect(below == dev->stats().tx_packets, "frames", "a bond sent other frames than its slaves");
  dev->unregister_netdev();
  let_everything_happen();  // the slaves get their own addresses back
  for (RxWorld& each : slaves) each.unregister();
}

void play_vlan(Chance chance) {
  Traffic traffic;
  Net net;
  RxWorld lower(random_world(chance), chance.stream(20), net);
  std::vector<NetdevPtr> vlans;
  for (uint16_t id = 1; id <= 2; ++id) {
    vlans.push_back(*Vlan::probe(net, {.name = "vlan%d"}, lower.dev(), id));
    expect(vlans.back()->register_netdev() && vlans.back()->open(), "open", "a VLAN does not come up");
  }
  let_everything_happen();
  const bool goes = chance.one_in(3);
  uint64_t sent[2] = {0, 0};
  together({{"user", [&, c = chance.stream(1)] { change(*vlans[0], lower.addresses(), c, 10); }},
            {"sender-1", [&, c = chance.stream(2)] { sent[0] = traffic.send(*vlans[0], c, 4); }},
            {"sender-2", [&, c = chance.stream(3)] { sent[1] = traffic.send(*vlans[1], c, 4); }},
            {"wire", [&, c = chance.stream(4)] { receive(traffic, lower.dev(), c, 8, 1); }},
            {"admin",
             [&, c = chance.stream(5)]() mutable {
               (void)(c.one_in(2) ? vlans[0]->close() : vlans[0]->open());
               lower.reopen(c, goes ? 0 : 2);
               (void)vlans[0]->open();
             }},
            {"remover", [&, c = chance.stream(6)]() mutable {
               rest(c);
               if (!goes) return;
               lower.dev().unregister_netdev();
               lower.card().unregistered = true;
             }}});
  let_everything_happen();
  uint64_t above = 0;
  for (size_t i = 0; i < 2; ++i) {
    traffic.check(*vlans[i], sent[i]);
    above += vlans[i]->stats().tx_packets;
  }
  const LinkStats stats = lower.dev().stats(), tagged = vlans[0]->stats();
  expect(stats.tx_packets == above, "frames", "a lower device sent other frames than its VLANs");
  expect(stats.rx_packets + stats.rx_dropped == traffic.received, "frames",
         "frames received are not packets and drops");
  const uint64_t up = tagged.rx_packets + tagged.rx_dropped;
  expect(goes ? up <= stats.rx_packets : up == stats.rx_packets, "frames", "a tagged frame did not reach its VLAN");
  if (!goes) {
    lower.converge();
    check_wanted(*vlans[0], lower, true);
  }
  for (NetdevPtr& each : vlans) each->unregister_netdev();
  expect(lower.dev().uc().size() + lower.dev().mc().size() == 0, "stack", "an address is left that no VLAN wants");
  if (!goes) lower.unregister();
}

}  // namespace usernic::sim
