// SPDX-License-Identifier: Apache-2.0 OR MIT
// The host mirror, fed as by a busy machine: events late, lost or in a heap, pictures that changes tear apart and
// that arrive when they are old.
#include "host/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/thread.h"

namespace usernic::sim {

using std::chrono::microseconds;

namespace {

constexpr MacAddress kOwn = MacAddress::from_u64(0x02'00'00'00'00'00);

// Even ones are unicast.
MacAddress member(uint64_t n) {
  return MacAddress::from_u64(0x02'00'00'00'00'01 + n + (n % 2 != 0 ? 1ull << 40 : 0));
}

// What the kernel has. Its lists change under a lock of its own, so in one step.
struct Kernel {
  std::map<uint64_t, int> holders;
  std::vector<uint64_t> order;
  std::deque<HostEvent> events;
  std::set<uint64_t> was_absent;  // at some moment since it was wished for
  uint32_t promisc_users = 0;
  bool carrier = true;
  bool for_unicast = false;

  void join(uint64_t n, bool announced) {
    if (holders[n]++ == 0) order.push_back(n);
    if (announced) events.push_back({HostEvent::Kind::kAddressAdded, member(n)});
  }
  void leave(uint64_t n, bool announced) {
    if (holders[n] == 0) return;
    if (--holders[n] == 0) {
      std::erase(order, n);
      was_absent.insert(n);
    }
    if (announced) events.push_back({HostEvent::Kind::kAddressDeleted, member(n)});
  }
  bool uc_empty() const {
    return std::ranges::none_of(order, [](uint64_t n) { return n % 2 == 0; });
  }
  HostLink link() {
    for_unicast = !uc_empty();
    return {.up = true, .promiscuity = promisc_users + for_unicast, .mtu = 1500, .address = kOwn, .carrier = carrier};
  }
  std::vector<MacAddress> dump() const {
    std::vector<MacAddress> all;
    for (uint64_t n : order)
      if (n % 2 == 0) all.push_back(member(n));
    for (uint64_t n : order)
      if (n % 2 != 0) all.push_back(member(n));
    return all;
  }
};

// The one owner of a mirror: looks when it is time or when something happened.
class Follower {
 public:
  Follower(Kernel& kernel, Chance chance) : kernel_(kernel), chance_(chance), seams_(chance_.one_in(3)) {}

  void step(bool calm) {
    while (!kernel_.events.empty()) deliver(calm);
    if (Clock::now() >= mirror_.next_picture()) look(calm);
    take();
  }
  Time next() const { return mirror_.next_picture(); }

  std::string difference() const {
    std::set<MacAddress> wanted;
    for (const MacAddress& address : kernel_.dump()) wanted.insert(address);
    if (carrier_ != kernel_.carrier) return "the carrier of the wishes is not the kernel's";
    if (wished_ == wanted && promiscuous_ == (kernel_.promisc_users != 0)) return "";
    return fmt::format("the kernel has {} addresses, wished for are {}", wanted.size(), wished_.size());
  }

 private:
  void deliver(bool calm) {
    const HostEvent event = kernel_.events.front();
    kernel_.events.pop_front();
    if (!calm && chance_.one_in(16)) {
      kernel_.events.clear();
      return mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, Clock::now());
    }
    point("event");
    mirror_.on_event(event, Clock::now());
  }
  void pause() {
    if (chance_.one_in(2)) (void)StopToken().wait_until(Clock::now() + microseconds(chance_.below(3000)));
  }
  void look(bool calm) {
    const Time begun = Clock::now();
    if (!calm && chance_.one_in(16)) return mirror_.on_picture_failed(begun, Clock::now());
    point("link");
    HostPicture picture{.begun = begun, .before = kernel_.link()};
    pause();
    picture.addresses = kernel_.dump();
    if (seams_ && !picture.addresses.empty()) {  // the rest comes later, from the index where it stopped
      const size_t index = chance_.below(picture.addresses.size());
      picture.addresses.resize(index);
      picture.whole = false;
      pause();
      const std::vector<MacAddress> now = kernel_.dump();
      if (index < now.size()) picture.addresses.insert(picture.addresses.end(), now.begin() + index, now.end());
    }
    picture.uc_empty = kernel_.uc_empty();
    pause();
    point("link");
    picture.after = kernel_.link();
    picture.ended = Clock::now();
    pause();
    mirror_.on_picture(picture);
  }
  void take() {
    const HostWishes wishes = mirror_.take_wishes();
    const auto number_of = [](const MacAddress& address) { return (address.to_u64() & 0xff) - 1; };
    for (const auto* added : {&wishes.add_unicast, &wishes.add_multicast}) {
      for (const MacAddress& address : *added) {
        expect(wished_.insert(address).second, "mirror", "an address is wished for twice");
        const bool has = kernel_.holders[number_of(address)] != 0;
        has ? (void)kernel_.was_absent.erase(number_of(address)) : (void)kernel_.was_absent.insert(number_of(address));
      }
    }
    for (const auto* deleted : {&wishes.del_unicast, &wishes.del_multicast}) {
      for (const MacAddress& address : *deleted) {
        expect(wished_.erase(address) == 1, "mirror", "an address is taken back that was not wished for");
        const bool was_absent = kernel_.was_absent.contains(number_of(address));
        if (!seams_ && !was_absent)
          found("mirror-deaf", address.to_string() + " is taken back, and was there throughout");
      }
    }
    promiscuous_ = wishes.promiscuous;
    carrier_ = wishes.link.carrier;
  }

  Kernel& kernel_;
  Chance chance_;
  const bool seams_;
  Mirror mirror_;
  std::set<MacAddress> wished_;
  bool promiscuous_ = false;
  std::optional<bool> carrier_;
};

}  // namespace

void play_mirror(Chance chance) {
  Kernel kernel;
  Follower follower(kernel, chance.stream(2));
  Atomic<bool> changing{true};
  const auto change = [&](Chance c) {
    for (uint64_t i = c.between(4, 20); i > 0; --i) {
      const uint64_t n = c.below(4);
      const bool announced = !c.one_in(3);
      point("kernel");
      if (c.one_in(8)) {
        kernel.promisc_users = static_cast<uint32_t>(c.below(2));
        kernel.carrier = c.one_in(2);
        kernel.events.push_back({HostEvent::Kind::kLinkChanged, {}});
      } else {
        c.one_in(2) ? kernel.join(n, announced) : kernel.leave(n, announced);
      }
      if (c.one_in(2)) (void)StopToken().wait_until(Clock::now() + microseconds(c.below(400'000)));
    }
  };
  Thread owner("mirror", [&] {
    while (changing.load()) {
      follower.step(false);
      (void)StopToken().wait_until(std::min(follower.next(), Clock::now() + std::chrono::milliseconds(5)));
    }
  });
  {
    Thread one("kernel-1", [&, c = chance.stream(3)] { change(c); });
    Thread two("kernel-2", [&, c = chance.stream(4)] { change(c); });
  }
  changing.store(false);
  owner.join();
  // Calm: a few looks, each within the audit's time, and the wishes are the kernel's.
  for (int i = 0; i < 6; ++i) {
    (void)StopToken().wait_until(follower.next());
    follower.step(true);
  }
  if (std::string text = follower.difference(); !text.empty()) found("mirror-missed", std::move(text));
}

}  // namespace usernic::sim
