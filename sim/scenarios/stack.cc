// SPDX-License-Identifier: Apache-2.0 OR MIT
// Stacked devices: what is wanted above is wanted below, whatever is linked, changed, closed, slow or removed
// meanwhile.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <ranges>

#include "core/device/device.h"
#include "sim/promptly.h"
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "testing/unseen_by_clang.h"
#include "testing/upper.h"

// They look at a world that stands still meanwhile: without its locks.
USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

MacAddress many(uint64_t n) {
  return MacAddress::from_u64(0x0300'0001'0000 | n);
}

TestUpper& upper_of(NetDevice& dev) {
  return *static_cast<TestUpper*>(dev.driver());
}

// A device, and what its own users want of it. Counted when the core has said yes.
struct Storey {
  NetDevice& dev;
  RxWorld* const nic;  // null: an upper device
  std::map<MacAddress, uint32_t> users;
  uint32_t promiscuity = 0, allmulti = 0;
  std::map<uint16_t, uint32_t> vlans;

  Wanted& wanted() const { return Device::of(dev).engine.wanted; }
  bool there() const { return dev.reg_state() == RegState::kRegistered; }
  TestUpper& upper() const { return upper_of(dev); }
  AddressList& list(const MacAddress& address) const { return address.is_multicast() ? dev.mc() : dev.uc(); }
};

class House {
 public:
  House(Chance chance, bool slow) : slow_(slow) {
    const uint32_t addresses = static_cast<uint32_t>(chance.between(1, 4));
    const uint64_t nics = chance.between(1, 3);
    for (uint64_t i = 0; i < nics; ++i) {
      RxWorldConfig config = random_world(chance);
      config.addresses = addresses;
      if (slow_) config.temper = {.latency = chance.one_in(2) ? seconds(5) : Duration::zero()};
      nics_.emplace_back(config, chance.stream(30 + i), net_);
      storeys_.push_back({nics_.back().dev(), &nics_.back()});
    }
    addresses_ = nics_.front().addresses();
    for (uint64_t i = chance.between(2, 8); i > 0; --i) {
      const NetdevConfig config{.name = "up%d", .address = RxWorld::own(chance.below(3))};
      const VlanIds vlan_ids = chance.one_in(4) ? VlanIds::kInner : VlanIds::kPassed;
      uppers_.push_back(chance.one_in(2) ? *net_.alloc_netdev<TestUpper>(config, vlan_ids)
                                         : *net_.alloc_netdev<SlotUpper>(config, vlan_ids));
      NetDevice& dev = *uppers_.back();
      expect(dev.register_netdev() && dev.open(), "open", "an upper device does not come up");
      storeys_.push_back({dev, nullptr});
    }
    if (chance.one_in(2)) pile_up();
  }

  void change(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) {
      Storey& storey = any(chance);
      note([&] { return fmt::format("a change in {}", storey.dev.name()); });
      above_cards("a change in a stack", [&] { change_one(storey, chance); });
    }
  }
  // More than one hold of the locks tells.
  void change_many(Chance chance) {
    const uint64_t count = AddressTable::kChunk + chance.below(80);
    Storey& storey = any_upper(chance);
    if (chance.one_in(3)) {
      for (uint16_t id = 1; id <= count; ++id) storey.vlans[id] += storey.dev.rx_mode().vlan_add(id).has_value();
      return;
    }
    for (uint64_t i = count; i > 0; --i) many_.push_back(many(i));
    for (const MacAddress& address : many_) {
      if (storey.dev.mc().add(address)) ++storey.users[address];
    }
  }
  void build(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) {
      Storey& above = any_upper(chance);
      Storey& below = any(chance);
      const uint64_t what = chance.below(8);
      note([&] {
        const char* const verb = what < 4    ? "over"
                                 : what < 6  ? "no more over"
                                 : what == 6 ? "is active on"
                                             : "is active no more on";
        return fmt::format("{} {} {}", above.dev.name(), verb, below.dev.name());
      });
      above_cards("a link", [&] {
        if (what < 4) {
          (void)above.upper().add(below.dev);
        } else if (what < 6) {
          above.upper().remove(below.dev);
        } else {
          above.upper().activate(below.dev, what == 6);
        }
      });
    }
  }
  void operate(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) {
      Storey& storey = any(chance);
      note([&] { return fmt::format("an operation of {}", storey.dev.name()); });
      if (storey.nic != nullptr) {
        storey.nic->reopen(chance.stream(i), 1);
      } else {
        above_cards("an upper device's operation", [&] {
          if (chance.one_in(2)) (void)storey.dev.set_mac_address(RxWorld::own(chance.below(3)));
          (void)(chance.one_in(2) ? storey.dev.close() : storey.dev.open());
        });
      }
    }
  }
  void lose(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) nics_[chance.below(nics_.size())].reset(chance.stream(i), 1);
  }
  void remove(Chance chance) {
    (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(chance.below(3000)));
    Storey& storey = any(chance);
    storey.dev.unregister_netdev();
    if (storey.nic != nullptr) storey.nic->card().unregistered = true;
    expect(storey.dev.ref_holders().empty(), "references", "somebody holds a reference after unregister");
  }

  void check() {
    settle();
    const NoSwitch quiet;
    for (Storey& storey : storeys_) {
      if (storey.there()) check_one(storey);
    }
    for (Storey& storey : storeys_) {
      if (storey.there() && storey.nic != nullptr) check_heard(storey, *storey.nic);
    }
  }
  // Nothing is above or below any more: what was told is taken back.
  void check_unlinked() {
    {
      const MutexGuard rtnl(net_.rtnl());
      for (Storey& storey : storeys_) unlink_all(Device::of(storey.dev));
    }
    check();
    for (Storey& storey : storeys_) {
      if (!storey.there()) continue;
      for (auto& [address, count] : storey.users) {
        for (; count != 0; --count) {
          expect(storey.list(address).del(address).has_value(), "stack", "a user's reference is gone");
        }
      }
      expect(storey.dev.uc().size() + storey.dev.mc().size() == 0, "stack", "an address is left that nobody wants");
      for (auto& [id, count] : storey.vlans) {
        for (; count != 0; --count) {
          expect(storey.dev.rx_mode().vlan_del(id).has_value(), "stack", "a user's reference on a VLAN id is gone");
        }
      }
      expect(storey.wanted().vlans.none(), "stack", "a VLAN id is left that nobody wants");
      (void)storey.dev.close();
      check_entries(storey.dev);
      storey.dev.unregister_netdev();
      if (storey.nic != nullptr) storey.nic->card().unregistered = true;
    }
  }

 private:
  // What waits for no card.
  template <class Body>
  void above_cards(const char* what, Body&& body) {
    slow_ ? promptly(what, body) : body();
  }
  Storey& any(Chance& chance) { return storeys_[chance.below(storeys_.size())]; }
  Storey& any_upper(Chance& chance) { return storeys_[nics_.size() + chance.below(uppers_.size())]; }

  // One above the other, as high as it goes.
  void pile_up() {
    for (size_t i = nics_.size(); i < storeys_.size(); ++i) (void)storeys_[i].upper().add(storeys_[i - 1].dev);
  }

  void change_one(Storey& storey, Chance& chance) {
    RxMode& mode = storey.dev.rx_mode();
    const auto toggle = [](uint32_t& held, auto&& set) {
      const int by = held == 0 ? 1 : -1;
      if (set(by)) held += by;
    };
    const bool own = chance.one_in(6);
    const MacAddress address = own ? RxWorld::own(chance.below(3)) : addresses_[chance.below(addresses_.size() - 3)];
    const auto id = static_cast<uint16_t>(chance.below(4));
    switch (chance.below(10)) {
      case 0:
        return toggle(storey.promiscuity, [&](int by) { return mode.set_promiscuity(by).has_value(); });
      case 1:
        return toggle(storey.allmulti, [&](int by) { return mode.set_allmulti(by).has_value(); });
      case 2:
      case 3:
      case 4:
        if (storey.list(address).add(address)) ++storey.users[address];
        return;
      case 5:
        if (storey.vlans[id] == 0 || chance.one_in(2)) {
          if (mode.vlan_add(id)) ++storey.vlans[id];
          return;
        }
        --storey.vlans[id];
        expect(mode.vlan_del(id) || !storey.there(), "stack", "a user's reference on a VLAN id is gone");
        return;
      case 6:
        return (void)mode.set_vlan_filter(!chance.one_in(3));
      default:
        if (storey.users[address] == 0) return;
        --storey.users[address];
        expect(storey.list(address).del(address) || !storey.there(), "stack", "a user's reference is gone");
    }
  }

  // What changers left to the lanes goes down a device at a time; then the cards.
  void settle() {
    for (int round = 0; round < kStackMax; ++round) {
      for (Storey& storey : storeys_) storey.dev.lane().flush();
    }
    for (Storey& storey : storeys_) {
      if (storey.there() && storey.nic != nullptr) storey.nic->converge();
    }
  }

  // Requires: nobody changes anything.
  void check_one(const Storey& storey) const {
    const Wanted& wanted = storey.wanted();
    uint32_t promiscuity = storey.promiscuity, allmulti = storey.allmulti;
    int level = 0, chain_down = 1;
    for (const Link& link : Device::of(storey.dev).uppers) {
      const Wanted& above = link.upper.engine.wanted;
      level = std::max(level, above.level() + 1);
      if (!link.active) continue;
      promiscuity += above.promiscuity.total() != 0;
      allmulti += above.allmulti.total() != 0;
    }
    for (const Link& link : wanted.lowers) chain_down = std::max(chain_down, Device::of(link.to->dev).chain_down + 1);
    expect(wanted.promiscuity.total() == promiscuity, "stack", "promiscuity is not what users and uppers want");
    expect(wanted.allmulti.total() == allmulti, "stack", "allmulti is not what users and uppers want");
    expect(wanted.level() == level, "stack", "a lock level is not one below the uppers'");
    expect(Device::of(storey.dev).chain_down == chain_down, "stack", "a chain is longer than it is counted");
    for (const MacAddress& address : addresses_) check_address(storey, address);
    for (const MacAddress& address : many_) check_address(storey, address);
    check_vlans(storey);
  }
  void check_vlans(const Storey& storey) const {
    std::array<uint32_t, kVlanIds> expected{};
    for (const auto& [id, count] : storey.vlans) expected[id] = count * VlanRefs::kUser;
    for (const Link& link : Device::of(storey.dev).uppers) {
      if (!link.active || link.vlan_ids == VlanIds::kInner) continue;
      const VlanSet& above = link.upper.engine.wanted.vlans;
      for (size_t id = above._Find_first(); id < kVlanIds; id = above._Find_next(id)) expected[id] += VlanRefs::kUpper;
    }
    expect(storey.wanted().vlan_refs == expected, "stack", "VLAN ids are not what users and uppers want");
  }

  // References on an address that is an upper's own one too come and go below when it is so no more (rule R10): until
  // then the lower wants it in any case, and has one reference on it more or less.
  void check_address(const Storey& storey, const MacAddress& address) const {
    const Wanted& wanted = storey.wanted();
    const auto user = storey.users.find(address);
    uint64_t loose = 0, expected = user != storey.users.end() ? user->second : 0;
    for (const Link& link : Device::of(storey.dev).uppers) {
      if (!link.active) continue;
      const Wanted& above = link.upper.engine.wanted;
      expected += references(above, address) != 0;
      expected += above.own == address && wanted.own != address;
      loose += above.own == address;
    }
    const uint64_t there = references(wanted, address);
    const bool is_wanted = there != 0 || wanted.own == address || expected == 0;
    if (is_wanted && there + loose >= expected && there <= expected + loose) return;
    std::string text = fmt::format("{} has {} references in {}, whose own is {}; users and uppers have {}",
                                   address.to_string(), there, storey.dev.name(), wanted.own.to_string(), expected);
    for (const Link& link : Device::of(storey.dev).uppers) {
      const Wanted& above = link.upper.engine.wanted;
      text += fmt::format("\n  {} above{}: {} references, its own is {}; told {}{}", link.upper.name(),
                          link.active ? "" : ", not active", references(above, address), above.own.to_string(),
                          link.own.to_string(), link.own_told ? ", told" : "");
    }
    found("stack", std::move(text));
  }
  static uint64_t references(const Wanted& wanted, const MacAddress& address) {
    const AddressEntry* const entry = (address.is_multicast() ? wanted.mc : wanted.uc).find(address);
    return entry != nullptr ? entry->references() : 0;
  }

  // What anybody above wants, as far as links are active, the card accepts; of VLAN ids, as far as they are passed on.
  void check_heard(const Storey& storey, RxWorld& nic, bool vlans = true) const {
    const Wanted& wanted = storey.wanted();
    const Card& card = nic.card();
    expect(card.promisc || wanted.promiscuity.total() == 0, "stack", "promiscuity above is not the card's");
    const auto check = [&](const MacAddress& address) {
      const bool all = wanted.allmulti.total() != 0 && address.is_multicast();
      const bool is_own = address == nic.dev().address() && !card.caps.own_address_uses_slot;
      if ((references(wanted, address) == 0 && !all) || is_own || card.accepts(address)) return;
      found("stack",
            fmt::format("{} is wanted in {}, and a card below is deaf to it", address.to_string(), storey.dev.name()));
    };
    std::ranges::for_each(addresses_, check);
    std::ranges::for_each(many_, check);
    for (uint16_t id = 0; id < 4 && vlans; ++id) {
      expect(!wanted.vlans[id] || card.vlan_open || card.vlans.contains(id), "stack",
             "a card is deaf to a VLAN that is wanted above");
    }
    for (const Link& link : Device::of(storey.dev).uppers) {
      const auto above = [&](const Storey& each) { return &each.dev == &link.upper; };
      const bool passed = vlans && link.vlan_ids == VlanIds::kPassed;
      if (link.active) check_heard(*std::ranges::find_if(storeys_, above), nic, passed);
    }
  }

  const bool slow_;  // some cards take seconds, and none fails
  Net net_;
  std::deque<RxWorld> nics_;
  std::vector<NetdevPtr> uppers_;
  std::vector<Storey> storeys_;  // NICs, then uppers
  std::vector<MacAddress> addresses_, many_;
};

}  // namespace

void play_stack(Chance chance) {
  House house(chance.stream(10), chance.one_in(4));
  const bool loses = chance.one_in(3), removes = chance.one_in(3);
  const bool many = chance.one_in(4);
  const int operations = chance.one_in(2) ? 4 : 0;
  together({{"user-1", [&, c = chance.stream(1)] { house.change(c, 12); }},
            {"user-2", [&, c = chance.stream(2)] { house.change(c, 8); }},
            {"builder-1", [&, c = chance.stream(3)] { house.build(c, 8); }},
            {"builder-2", [&, c = chance.stream(4)] { house.build(c, 4); }},
            {"admin", [&, c = chance.stream(5)] { house.operate(c, operations); }},
            {"firmware", [&, c = chance.stream(6)] { house.lose(c, loses ? 2 : 0); }},
            {"many",
             [&, c = chance.stream(8)] {
               if (many) house.change_many(c);
             }},
            {"remover", [&, c = chance.stream(7)] {
               if (removes) house.remove(c);
             }}});
  house.check();
  house.check_unlinked();
}

}  // namespace usernic::sim

USERNIC_UNSEEN_BY_CLANG_END
