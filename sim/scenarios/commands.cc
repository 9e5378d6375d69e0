// SPDX-License-Identifier: Apache-2.0 OR MIT
// Invariant 8: who changes flags, addresses or VLANs and waits, finds it done when the wait says ok. Several do so at
// once, beside a card that fails, takes its time, forgets and is closed.
#include <algorithm>
#include <map>

#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {

using std::chrono::milliseconds;

namespace {

// Who holds something that is counted. Counted before it is taken, and after it is given back.
struct Wish {
  int holders = 0;
  uint64_t taken = 0;
};
struct Mode : Wish {
  Result<> (RxMode::*set)(int change);
  bool (*passes)(const Card& card);
  bool (*narrow)(const Card& card);  // it is off, where nothing else needs it
};

class Commands {
 public:
  // `roomy`: the card has room for all, and refuses nothing, so that nothing but a wish keeps its filter wide.
  Commands(RxWorld& world, bool roomy) : world_(world), card_(world.card()), roomy_(roomy) {}

  void command(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) {
      switch (chance.below(6)) {
        case 0:
        case 1:
          use(promisc_, chance);
          break;
        case 2:
          use(allmulti_, chance);
          break;
        case 3:
          want(world_.addresses()[chance.below(world_.addresses().size() - 3)]);
          break;
        case 4:
          pass_vlan(static_cast<uint16_t>(chance.below(4)));
          break;
        case 5:
          change_own(RxWorld::own(chance.below(3)));
          break;
      }
    }
  }

 private:
  RxMode& rx_mode() { return world_.dev().rx_mode(); }

  // The wait that makes a change a command; true when what it says can be held against the card.
  template <class Wait>
  bool in_effect(uint64_t cleared, Wait&& wait) {
    const Result<> waited = wait(Clock::now() + milliseconds(200));
    return waited && card_.cleared == cleared && card_.losses == 0;
  }
  bool settled(uint64_t cleared) {
    return in_effect(cleared, [this](Time deadline) { return rx_mode().settle(deadline); });
  }
  // What a card that is just losing its filter does not yet tell anybody is no command's fault.
  uint64_t cleared() const { return card_.losses == 0 ? card_.cleared : UINT64_MAX; }

  void use(Mode& mode, Chance& chance) {
    uint64_t before = cleared();
    ++mode.holders;
    ++mode.taken;
    expect((rx_mode().*mode.set)(1).has_value(), "command", "a flag cannot be asked for");
    if (settled(before)) expect(mode.passes(card_), "effect", "a flag is in effect, and the card does not pass it");
    if (chance.one_in(2)) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(chance.below(500)));
    before = cleared();
    const uint64_t taken = mode.taken;
    expect((rx_mode().*mode.set)(-1).has_value(), "command", "a flag cannot be given back");
    const bool last = --mode.holders == 0;
    const bool done = settled(before) && last && mode.taken == taken;
    if (done && roomy_) expect(mode.narrow(card_), "effect", "a flag is off, nobody wants it, and the card passes it");
  }

  void want(const MacAddress& address) {
    const uint64_t before = cleared();
    AddressList& list = world_.list_of(address);
    Wish& wish = wishes_[address];
    ++wish.holders;
    ++wish.taken;
    expect(list.add(address).has_value(), "command", "an address cannot be added");
    const RxTicket ticket = rx_mode().ticket(address);
    if (in_effect(before, [&](Time deadline) { return rx_mode().wait(ticket, deadline); })) {
      expect(card_.accepts(address), "effect", "an address is in effect, and the card does not accept it");
    }
    const uint64_t taken = wish.taken;
    expect(list.del(address).has_value(), "command", "an address cannot be deleted");
    const bool last = --wish.holders == 0;
    if (settled(before) && last && wish.taken == taken) {
      expect(!card_.exact[address.is_multicast()].contains(address), "effect",
             "an address is gone, and the card has it");
    }
  }

  void pass_vlan(uint16_t id) {
    const uint64_t before = cleared();
    (void)rx_mode().set_vlan_filter(true);
    expect(rx_mode().vlan_add(id).has_value(), "command", "a VLAN cannot be added");
    if (settled(before)) {
      expect(card_.vlan_open || card_.vlans.contains(id), "effect",
             "a VLAN is in effect, and the card does not pass it");
    }
    expect(rx_mode().vlan_del(id).has_value(), "command", "a VLAN cannot be deleted");
  }

  void change_own(const MacAddress& address) {
    const uint64_t before = cleared();
    const uint64_t change = ++own_changes_;
    const bool alone = own_under_way_++ == 0;
    const bool set = world_.dev().set_mac_address(address).has_value();
    const auto undisturbed = [&] { return set && alone && own_changes_ == change; };
    const bool in_slot = card_.caps.own_address_uses_slot;
    {
      const NoSwitch at_once;
      const bool is_set = world_.dev().address() == address && card_.own == address;
      if (undisturbed()) expect(is_set, "effect", "the own address is set, and the device or its card has another");
    }
    if (settled(before) && undisturbed() && in_slot) {
      expect(card_.accepts(address), "effect", "the own address is in effect, and the card does not accept it");
    }
    --own_under_way_;
  }

  RxWorld& world_;
  Card& card_;
  const bool roomy_;
  std::map<MacAddress, Wish> wishes_;
  Mode promisc_{
      {}, &RxMode::set_promiscuity, [](const Card& c) { return c.promisc; }, [](const Card& c) { return !c.promisc; }};
  Mode allmulti_{{},
                 &RxMode::set_allmulti,
                 [](const Card& c) { return c.allmulti || c.promisc; },
                 [](const Card& c) { return !c.allmulti; }};
  uint64_t own_changes_ = 0;
  int own_under_way_ = 0;
};

}  // namespace

void play_commands(Chance chance) {
  RxWorldConfig config = random_world(chance);
  const bool roomy = chance.one_in(2);
  if (roomy) {
    config.caps.unicast_slots = config.caps.multicast_slots = 16;
    config.caps.allmulti = true;
    config.temper.refusal_one_in = config.temper.unsupported_one_in = config.temper.slots_missing = 0;
  }
  RxWorld world(config, chance);
  Commands commands(world, roomy);
  const bool forgets = chance.one_in(3), closed = chance.one_in(3);
  together({{"commands-1", [&, c = chance.stream(1)] { commands.command(c, 3); }},
            {"commands-2", [&, c = chance.stream(2)] { commands.command(c, 3); }},
            {"commands-3", [&, c = chance.stream(3)] { commands.command(c, 3); }},
            {"firmware",
             [&, c = chance.stream(4)] {
               if (forgets) world.reset(c, 2);
             }},
            {"admin", [&, c = chance.stream(5)] {
               if (closed) world.reopen(c, 2);
             }}});
  world.converge();
  world.unregister();
}

}  // namespace usernic::sim
