// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/rx_world.h"

#include <fmt/format.h>

#include "sim/scheduler.h"
#include "sim/style_drivers.h"
#include "testing/random_caps.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

namespace usernic::sim {

using std::chrono::milliseconds;

namespace {

std::vector<MacAddress> addresses_of(uint32_t count) {
  std::vector<MacAddress> all;
  for (uint64_t n = 1; n <= count; ++n) all.push_back(MacAddress::from_u64(0x0200'0000'0000 | n));
  for (uint64_t n = 1; n <= count; ++n) all.push_back(MacAddress::from_u64(0x0300'0000'0000 | n));
  for (uint64_t n = 0; n < 3; ++n) all.push_back(RxWorld::own(n));
  return all;
}

Result<NetdevPtr> alloc_device(Net& net, Card& card) {
  const NetdevConfig config{.name = "sim%d", .address = RxWorld::own(0), .rx_retry = milliseconds(1)};
  switch (card.style) {
    case CardStyle::kImage:
      return net.alloc_netdev<ImageDriver>(config, card);
    case CardStyle::kLegacy:
      return net.alloc_netdev<LegacyDriver>(config, card);
    case CardStyle::kKernel:
      return net.alloc_netdev<KernelDriver>(config, card);
    case CardStyle::kPlan:
      break;
  }
  return net.alloc_netdev<CardDriver>(config, card);
}

NetdevPtr make_device(Net& net, Card& card, CardStyle style, bool open) {
  card.style = style;
  NetdevPtr dev = *alloc_device(net, card);
  expect(dev->register_netdev().has_value(), "register", "the device cannot be registered");
  if (open) expect(dev->open().has_value(), "open", "the device cannot be opened");
  return dev;
}

void rest(Chance& chance) {
  if (chance.one_in(4)) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(chance.below(3000)));
}

}  // namespace

CardTemper random_temper(Chance& chance) {
  CardTemper temper;
  if (!chance.one_in(4)) temper.transient_one_in = chance.between(2, 10);
  if (chance.one_in(2)) temper.refusal_one_in = chance.between(2, 10);
  if (chance.one_in(3)) temper.unsupported_one_in = 4;
  if (chance.one_in(4)) temper.slots_missing = 1;
  if (chance.one_in(3)) temper.latency = milliseconds(chance.between(1, 5));
  return temper;
}

RxWorldConfig random_world(Chance& chance) {
  return {.caps = random_caps(chance),
          .temper = random_temper(chance),
          .addresses = static_cast<uint32_t>(chance.between(1, 5))};
}

RxWorld::RxWorld(const RxWorldConfig& config, Chance chance)
    : RxWorld(config, chance, std::make_unique<Net>(), nullptr) {}

RxWorld::RxWorld(const RxWorldConfig& config, Chance chance, Net& net) : RxWorld(config, chance, nullptr, &net) {}

RxWorld::RxWorld(const RxWorldConfig& config, Chance chance, std::unique_ptr<Net> own_net, Net* net)
    : addresses_(addresses_of(config.addresses)),
      card_(config.caps, config.temper, chance.stream(100)),
      own_net_(std::move(own_net)),
      net_(net != nullptr ? *net : *own_net_),
      dev_(make_device(net_, card_, config.style, config.open)),
      checker_(*dev_, card_, addresses_) {
  card_.own = dev_->address();
}

RxWorld::~RxWorld() = default;

void RxWorld::change(Chance chance, int steps) {
  RxMode& mode = dev_->rx_mode();
  const uint64_t odd_one_in = chance.between(2, 12);  // something else than add and del
  const bool promisc = chance.one_in(2), allmulti = chance.one_in(2);
  int promiscuity_held = 0, allmulti_held = 0;
  const auto toggle = [](int& held, auto&& set) {
    const int by = held == 0 ? 1 : -1;
    if (set(by)) held += by;
  };
  for (int i = 0; i < steps; ++i) {
    const MacAddress address = addresses_[chance.below(addresses_.size() - 3)];
    if (promisc && chance.one_in(odd_one_in)) {
      toggle(promiscuity_held, [&](int by) { return mode.set_promiscuity(by).has_value(); });
    } else if (allmulti && chance.one_in(odd_one_in)) {
      toggle(allmulti_held, [&](int by) { return mode.set_allmulti(by).has_value(); });
    } else if (list_of(address).contains(address) && chance.one_in(2)) {
      (void)list_of(address).del(address);
    } else {
      (void)list_of(address).add(address);
    }
    rest(chance);
  }
  if (chance.one_in(4)) return;  // they stay
  if (promiscuity_held != 0) (void)mode.set_promiscuity(-1);
  if (allmulti_held != 0) (void)mode.set_allmulti(-1);
}

void RxWorld::filter_vlans(Chance chance, int steps) {
  RxMode& mode = dev_->rx_mode();
  for (int i = 0; i < steps; ++i) {
    const auto id = static_cast<uint16_t>(chance.below(4));
    switch (chance.below(3)) {
      case 0:
        (void)mode.set_vlan_filter(chance.one_in(2));
        break;
      case 1:
        (void)mode.vlan_add(id);
        break;
      case 2:
        (void)mode.vlan_del(id);
        break;
    }
    rest(chance);
  }
}

void RxWorld::change_own(Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    (void)dev_->set_mac_address(own(chance.below(3)));
    rest(chance);
  }
}

void RxWorld::reset(Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    rest(chance);
    card_.lose(*dev_);
  }
}

void RxWorld::reopen(Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    switch (chance.below(4)) {
      case 0:
        (void)dev_->close();
        break;
      case 1:
        (void)dev_->open();
        break;
      case 2:
        (void)dev_->detach();
        break;
      case 3:
        card_.resume(*dev_);
        break;
    }
    rest(chance);
  }
}

void RxWorld::wait_for(Chance chance, int steps) {
  RxMode& mode = dev_->rx_mode();
  for (int i = 0; i < steps; ++i) {
    const MacAddress address = any_address(chance);
    const Time deadline = Clock::now() + milliseconds(chance.below(200));
    const Time begun = Clock::now();
    const Result<> result = mode.wait(mode.ticket(address), deadline);
    const bool late = !result && result.error() == std::errc::timed_out && Clock::now() < deadline;
    expect(!late, "ticket", "a ticket times out before its deadline");
    expect(Clock::now() >= begun, "clock", "time goes back");
  }
}

void RxWorld::read(Chance chance, int steps) {
  for (int i = 0; i < steps; ++i) {
    const RxModeStatus status = dev_->rx_mode().status();
    expect(status.generation_programmed <= status.generation_wanted, "status", "programmed is ahead of wanted");
    (void)dev_->mc().snapshot();
    (void)dev_->rx_mode().covered(any_address(chance));
    rest(chance);
  }
}

void RxWorld::bring_up() {
  if (!dev_->present()) card_.resume(*dev_);
  expect(dev_->open().has_value(), "open", "the device cannot be opened again");
}

void RxWorld::converge() {
  bring_up();
  checker_.settled();
}

void RxWorld::thin_out(size_t left) {
  for (AddressList* list : {&dev_->uc(), &dev_->mc()}) {
    std::vector<MacAddress> wanted = list->snapshot();
    while (wanted.size() > left) {
      while (list->contains(wanted.back())) (void)list->del(wanted.back());
      wanted.pop_back();
    }
  }
  RxMode& mode = dev_->rx_mode();
  while (mode.set_promiscuity(-1)) {
  }
  while (mode.set_allmulti(-1)) {
  }
  checker_.settled();
}

void RxWorld::unregister() {
  expect(dev_->close().has_value(), "close", "the device cannot be closed");
  checker_.closed();
  dev_->unregister_netdev();
  card_.unregistered = true;
  expect(dev_->ref_holders().empty(), "references", "somebody holds a reference after unregister");
}

void together(std::vector<std::pair<const char*, std::function<void()>>> bodies) {
  std::vector<Thread> threads;
  for (auto& [name, body] : bodies) threads.emplace_back(name, std::move(body));
}

}  // namespace usernic::sim
