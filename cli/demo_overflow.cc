// SPDX-License-Identifier: Apache-2.0 OR MIT
// The fifth step: more addresses than the card has slots, and back, while numbered frames go to wanted addresses.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include "cli/demo_frames.h"
#include "cli/demo_groups.h"
#include "cli/demo_steps.h"

namespace usernic::cli {
namespace {

constexpr int kGroups = 24;   // the card has 16 multicast slots and a hash
constexpr int kUnicast = 12;  // and 8 unicast slots, without one
constexpr uint32_t kFramesAMode = 400;
const MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0001);

std::string group(int i) {
  return fmt::format("ff15::feed:{:x}", i + 1);
}
MacAddress unicast(int i) {
  return MacAddress::from_u64(0x0200'0000'c000 + static_cast<uint64_t>(i));
}

// One run of the step: what it uses, and how far it has come.
struct Overflow {
  DemoLab& lab;
  Narrator& say;
  DemoGroups groups;
  std::unique_ptr<DemoFrames> frames;
  std::vector<MacAddress> destinations;
};

ctl::Outcome<std::unique_ptr<DemoFrames>> start_frames(DemoLab& lab, int receiver_ifindex) {
  auto sender = lab.sockets_in("b", {{AF_PACKET, SOCK_RAW, 0}});
  auto receiver = lab.sockets_in("a", {{AF_PACKET, SOCK_RAW, 0}});
  if (!sender || !receiver) return ctl::refuse(sender ? receiver.error() : sender.error());
  const auto ifindex = ifindex_of(sender->at(0), "nic1");
  if (!ifindex) return ctl::refuse(ifindex.error());
  return DemoFrames::start(std::move(sender->at(0)), *ifindex, std::move(receiver->at(0)), receiver_ifindex);
}

// Until the card accepts the address.
ctl::Outcome<> wait_for(DemoLab& lab, const MacAddress& address) {
  const auto report = lab.ctl().ask<ctl::AddressReport>(
      {.verb = "wait-address", .dev = "nic0", .address = address, .timeout_ms = kPatienceMs});
  if (!report) return ctl::refuse(report.error());
  if (report->covered) return {};
  return ctl::refuse(fmt::format("the card does not accept {}: {}", address.to_string(), report->error));
}

// Until nic0's card is in these modes; says why it is.
ctl::Outcome<> show_modes(Overflow& o, std::string_view unicast_mode, std::string_view multicast_mode) {
  auto events = o.lab.connect();
  if (!events) return ctl::refuse(events.error());
  if (const auto opened = events->call({.verb = "monitor"}); !opened) return ctl::refuse(opened.error());
  const Time deadline = Clock::now() + std::chrono::milliseconds(kPatienceMs);
  for (;;) {
    const auto event = events->next_event(deadline);
    if (!event) {
      return ctl::refuse(fmt::format("nic0 did not come to unicast {}, multicast {}", unicast_mode, multicast_mode));
    }
    if (event->dev != "nic0" || event->mode.unicast != unicast_mode || event->mode.multicast != multicast_mode)
      continue;
    o.say.line(fmt::format("  unicast {:<8} multicast {:<8} {}", unicast_mode, multicast_mode, event->mode.reason));
    o.frames->linger(kFramesAMode);
    return {};
  }
}

ctl::Outcome<> widen(Overflow& o) {
  for (int i = 0; i < kGroups; ++i) {
    if (auto joined = o.groups.join(group(i)); !joined) return joined;
  }
  for (int i = 0; i < kGroups; ++i) {
    if (auto covered = wait_for(o.lab, mac_of_group(group(i))); !covered) return covered;
    o.destinations.push_back(mac_of_group(group(i)));
  }
  o.frames->send_to(o.destinations);
  if (auto shown = show_modes(o, "exact", "hash"); !shown) return shown;
  for (int i = 0; i < kUnicast; ++i) {
    if (auto added = o.lab.must_run_in("a", {"bridge", "fdb", "add", unicast(i).to_string(), "dev", "nic0", "self"});
        !added) {
      return added;
    }
  }
  for (int i = 0; i < kUnicast; ++i) {
    if (auto covered = wait_for(o.lab, unicast(i)); !covered) return covered;
    o.destinations.push_back(unicast(i));
  }
  o.frames->send_to(o.destinations);
  return show_modes(o, "promisc", "promisc");
}

ctl::Outcome<> narrow(Overflow& o) {
  o.destinations.resize(o.destinations.size() - kUnicast);
  o.frames->send_to(o.destinations);
  for (int i = 0; i < kUnicast; ++i) {
    if (auto gone = o.lab.must_run_in("a", {"bridge", "fdb", "del", unicast(i).to_string(), "dev", "nic0", "self"});
        !gone) {
      return gone;
    }
  }
  if (auto shown = show_modes(o, "exact", "hash"); !shown) return shown;
  o.destinations.resize(1);
  o.frames->send_to(o.destinations);
  for (int i = 0; i < kGroups; ++i) {
    if (auto left = o.groups.leave(group(i)); !left) return left;
  }
  return show_modes(o, "exact", "exact");
}

}  // namespace

ctl::Outcome<> overflow_the_filter(DemoLab& lab, Narrator& say, DemoReport& report) {
  auto groups = DemoGroups::open(lab, "a", "nic0");
  if (!groups) return ctl::refuse(groups.error());
  auto frames = start_frames(lab, groups->ifindex());
  if (!frames) return ctl::refuse(frames.error());
  Overflow o{lab, say, *std::move(groups), *std::move(frames), {kOwn}};
  o.frames->send_to(o.destinations);
  say.line(
      fmt::format("Host b sends numbered frames to what host a wants, one a millisecond. Host a joins {} groups (the\n"
                  "card has 16 slots), wants {} more stations (8 slots), and gives all of them up again:",
                  kGroups, kUnicast));
  if (auto shown = show_modes(o, "exact", "exact"); !shown) return shown;
  if (auto done = widen(o); !done) return done;
  if (auto done = narrow(o); !done) return done;
  const DemoFrames::Count count = o.frames->finish();
  report.overflow = {count.sent, count.lost};
  say.line(fmt::format("{} frames sent, {} lost", count.sent, count.lost));
  if (count.lost > 0) return ctl::refuse("wanted frames were lost");
  return {};
}

}  // namespace usernic::cli
