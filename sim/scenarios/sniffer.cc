// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device in the middle hears everything; then another one above it asks for many addresses, and it is promiscuous no
// more: nobody is deaf to one of them in between, although they go down in several holds of the locks.
#include <algorithm>
#include <ranges>
#include <utility>

#include "core/list/address_table.h"
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "testing/upper.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {
namespace {

MacAddress sniffed_group(uint64_t n) {
  return MacAddress::from_u64(0x0300'0001'0000 | n);
}

}  // namespace

void play_sniffer(Chance chance) {
  Net net;
  RxWorldConfig config = random_world(chance);
  config.caps.multicast_slots = 256;  // so that it is not promiscuous for want of room
  config.caps.shared_slots = false;
  if (!chance.one_in(4)) config.temper = {};
  RxWorld nic(config, chance.stream(10), net);
  std::vector<NetdevPtr> stack;
  NetDevice* below = &nic.dev();
  for (uint64_t i = chance.between(2, 4); i > 0; --i) {
    stack.push_back(*net.alloc_netdev<TestUpper>({.name = "up%d", .address = RxWorld::own(0)}));
    expect(stack.back()->register_netdev().has_value(), "register", "an upper device cannot be registered");
    expect(static_cast<TestUpper*>(stack.back()->driver())->add(*below).has_value(), "link", "a stack cannot be built");
    below = stack.back().get();
    if (i != 1) (void)below->open();
  }
  NetDevice &top = *stack.back(), &middle = **std::prev(stack.end(), 2);
  std::vector<MacAddress> all;
  for (uint64_t i = AddressTable::kChunk + chance.below(2 * AddressTable::kChunk); i > 0; --i)
    all.push_back(sniffed_group(i));
  for (const MacAddress& address : all) (void)top.mc().add(address);
  (void)middle.rx_mode().set_promiscuity(1);
  const Card& card = nic.card();
  const uint64_t cleared = card.cleared;
  bool hears =
      nic.dev().rx_mode().settle(Clock::now() + std::chrono::seconds(1)).has_value() && card.cleared == cleared;
  (void)top.open();
  const StepCheck never_deaf([&, version = uint64_t{0}]() mutable {
    if (card.cleared != cleared) hears = false;
    if (!hears || std::exchange(version, card.version) == card.version) return;
    const auto deaf = std::ranges::find_if(all, [&](const MacAddress& each) { return !card.accepts(each); });
    if (deaf != all.end()) found("never-deaf", deaf->to_string() + " was heard throughout, and is deaf");
  });
  together({{"sniffer", [&] { (void)middle.rx_mode().set_promiscuity(-1); }},
            {"user", [&, c = chance.stream(1), n = int(chance.below(3))] { nic.change(c, n); }},
            {"firmware", [&, c = chance.stream(2), n = int(chance.below(8) / 7)] { nic.reset(c, n); }}});
  for (const NetdevPtr& each : stack) each->lane().flush();
  nic.converge();
  for (const MacAddress& each : all) expect(card.accepts(each), "stack", "an address from above does not arrive");
  hears = false;
  for (auto& each : std::ranges::reverse_view(stack)) each->unregister_netdev();
  nic.unregister();
}

}  // namespace usernic::sim
