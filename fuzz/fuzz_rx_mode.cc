// SPDX-License-Identifier: Apache-2.0 OR MIT
// An input as a history: a card, and what somebody does with a device on it, in the simulator. The lists answer as a
// naive model does, the checkers of sim/checkers.h look on at each step, and in the end the card holds what is wanted.
#include <map>

#include "fuzz/input.h"
#include "sim/rx_world.h"
#include "sim/scheduler.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {
namespace {

using fuzz::Input;
using std::chrono::milliseconds;

RxWorldConfig world_of(Input& input) {
  RxWorldConfig config{.addresses = 1 + input.below(5)};
  config.caps = {.unicast_slots = input.below(4),
                 .multicast_slots = input.below(4),
                 .shared_slots = input.below(2) != 0,
                 .own_address_uses_slot = input.below(2) != 0,
                 .unicast_hash_buckets = input.below(2) * 4,
                 .multicast_hash_buckets = input.below(2) * 4,
                 .allmulti = input.below(4) != 0,
                 .vlan_slots = input.below(3)};
  if (config.caps.unicast_slots == 0) config.caps.own_address_uses_slot = false;  // there is no such card
  config.temper = {.transient_one_in = input.below(8),
                   .refusal_one_in = input.below(8),
                   .unsupported_one_in = input.below(2) * 4,
                   .slots_missing = input.below(2),
                   .latency = milliseconds(input.below(5))};
  return config;
}

// The lists as one would write them down: how many users hold each address, and who holds it for everybody.
class History {
 public:
  explicit History(Input& input, Chance chance) : world_(world_of(input), chance), input_(input) {}

  void play() {
    while (!input_.empty()) {
      const uint32_t op = input_.below(16);
      op < 8 ? change() : op < 10 ? flags() : device(op);
      check();
    }
    world_.converge();
    world_.thin_out(0);
    world_.unregister();
  }

 private:
  struct Held {
    uint32_t users = 0;
    bool global = false;
  };

  void change() {
    const MacAddress address = world_.addresses()[input_.below(static_cast<uint32_t>(world_.addresses().size()) - 3)];
    AddressList& list = world_.list_of(address);
    Held& held = held_[address];
    const bool there = held.users != 0 || held.global;
    switch (input_.below(8)) {
      case 0:
      case 1:
        ++held.users;
        return answers(list.add(address), true);
      case 2:
        answers(list.add_excl(address), !there);
        held.global |= !there;
        return;
      case 3:
        held.global = true;
        return answers(list.add_global(address), true);
      case 4:
      case 5:
        answers(list.del(address), there);
        held.users != 0 ? void(--held.users) : void(held.global = false);
        return;
      case 6:
        answers(list.del_global(address), held.global);
        held.global = false;
        return;
      case 7:
        answers(list.flush(), true);
        std::erase_if(held_, [&](const auto& each) { return each.first.is_multicast() == address.is_multicast(); });
        return;
    }
  }
  void flags() {
    RxMode& mode = world_.dev().rx_mode();
    const int by = input_.below(2) != 0 ? 1 : -1;
    const auto id = static_cast<uint16_t>(input_.below(4));
    switch (input_.below(5)) {
      case 0:
        answers(mode.set_promiscuity(by), by > 0 || promiscuity_ > 0);
        promiscuity_ = std::max(0, promiscuity_ + by);
        return;
      case 1:
        answers(mode.set_allmulti(by), by > 0 || allmulti_ > 0);
        allmulti_ = std::max(0, allmulti_ + by);
        return;
      case 2:
        return answers(mode.set_vlan_filter(by > 0), true);
      case 3:
        ++vlans_[id];
        return answers(mode.vlan_add(id), true);
      case 4:
        answers(mode.vlan_del(id), vlans_[id] > 0);
        vlans_[id] = std::max(0, vlans_[id] - 1);
        return;
    }
  }
  void device(uint32_t op) {
    NetDevice& dev = world_.dev();
    const uint32_t argument = input_.number();
    switch (op) {
      case 10:
        return (void)dev.set_mac_address(RxWorld::own(argument % 3));
      case 11:
        return world_.card().lose(dev);
      case 12:
        return (void)(argument % 2 != 0 ? dev.close() : dev.open());
      case 13:
        return argument % 2 != 0 ? (void)dev.detach() : world_.card().resume(dev);
      case 14:
        world_.card().temper.transient_one_in = argument % 4;
        return;
      case 15:
        return (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(argument * 16));
    }
  }

  static void answers(const Result<>& result, bool expected) {
    expect(result.has_value() == expected, "answer", expected ? "refused what it can" : "did what it cannot");
  }
  void check() {
    uint32_t there[2] = {};
    for (const auto& [address, held] : held_) {
      const uint32_t references = held.users + (held.global ? 1 : 0);
      there[address.is_multicast()] += references != 0;
      expect(world_.list_of(address).references(address) == references, "references", "a model counts otherwise");
    }
    NetDevice& dev = world_.dev();
    expect(dev.uc().size() == there[0] && dev.mc().size() == there[1], "size", "a list is longer or shorter");
  }

  RxWorld world_;
  Input& input_;
  std::map<MacAddress, Held> held_;
  std::map<uint16_t, int> vlans_;
  int promiscuity_ = 0, allmulti_ = 0;
};

}  // namespace
}  // namespace usernic::sim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  fuzz::Input input(data, size);
  const uint64_t seed = input.number<uint32_t>();
  sim::Scheduler scheduler({.seed = seed});
  const auto result = scheduler.run([&] { sim::History(input, Chance(seed)).play(); });
  if (result.finding) fuzz::broken(result.finding->rule + ": " + result.finding->text);
  return 0;
}
