// SPDX-License-Identifier: Apache-2.0 OR MIT
// The third step: six ways to tell a kernel what to receive, each until the card accepts it.
#include <fmt/format.h>

#include <functional>

#include "cli/demo_groups.h"
#include "cli/demo_steps.h"
#include "cli/show.h"

namespace usernic::cli {
namespace {

const MacAddress kFdbEntry = MacAddress::from_u64(0x0200'0000'0fdb);
const MacAddress kMaddr = MacAddress::from_u64(0x3333'0000'beef);
const MacAddress kMacvlan = MacAddress::from_u64(0x0200'0000'0aac);
const MacAddress kStranger = MacAddress::from_u64(0x0200'0000'9999);

struct Way {
  std::string what;
  MacAddress address;
  std::function<ctl::Outcome<>()> ask;
};

uint64_t now_us() {
  const auto since_boot = Clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since_boot).count());
}

// Has the daemon watch for the address, asks the kernel, and takes the time from then until the card accepts it.
ctl::Outcome<ctl::AddressReport> measure(DemoLab& lab, const Way& way, uint64_t& took_us) {
  auto& ctl = lab.ctl();
  if (auto sent = ctl.send({.verb = "wait-address", .dev = "nic0", .address = way.address, .timeout_ms = kPatienceMs});
      !sent) {
    return ctl::refuse(sent.error());
  }
  const uint64_t asked_at_us = now_us();
  const ctl::Outcome<> asked = way.ask();
  auto report = ctl.receive_report<ctl::AddressReport>();
  if (!asked) return ctl::refuse(asked.error());
  if (!report) return ctl::refuse(report.error());
  if (!report->covered) return ctl::refuse(fmt::format("{}: the card does not accept it: {}", way.what, report->error));
  took_us = report->covered_at_us - asked_at_us;
  return report;
}

ctl::Outcome<> show(DemoLab& lab, Narrator& say, DemoReport& report, const Way& way) {
  uint64_t took_us = 0;
  const auto covered = measure(lab, way, took_us);
  if (!covered) return ctl::refuse(covered.error());
  say.line(fmt::format("  {:<48}  {}  {:>9}", way.what, way.address.to_string(), show_time(took_us)));
  report.joins.push_back({way.what, way.address, took_us});
  return {};
}

std::vector<Way> ways(DemoLab& lab, DemoGroups& groups) {
  const auto tool = [&lab](std::vector<std::string> argv) {
    return [&lab, argv = std::move(argv)] { return lab.must_run_in("a", argv); };
  };
  const auto join = [&groups](std::string group) { return [&groups, group] { return groups.join(group); }; };
  return {
      {"IPv4 group: a socket joins 239.1.2.3", mac_of_group("239.1.2.3"), join("239.1.2.3")},
      {"IPv6 group: a socket joins ff15::1234", mac_of_group("ff15::1234"), join("ff15::1234")},
      {"bridge fdb add ... dev nic0 self", kFdbEntry,
       tool({"bridge", "fdb", "add", kFdbEntry.to_string(), "dev", "nic0", "self"})},
      {"ip maddr add ... dev nic0", kMaddr, tool({"ip", "maddr", "add", kMaddr.to_string(), "dev", "nic0"})},
      {"macvlan: ip link set mv0 up", kMacvlan, tool({"ip", "link", "set", "mv0", "up"})},
      {"promisc: ip link set nic0 promisc on (stranger)", kStranger,
       tool({"ip", "link", "set", "nic0", "promisc", "on"})},
  };
}

}  // namespace

ctl::Outcome<> join_groups(DemoLab& lab, Narrator& say, DemoReport& report) {
  auto groups = DemoGroups::open(lab, "a", "nic0");
  if (!groups) return ctl::refuse(groups.error());
  const auto macvlan = lab.run_in(
      "a", {"ip", "link", "add", "link", "nic0", "name", "mv0", "address", kMacvlan.to_string(), "type", "macvlan"});
  if (!macvlan) return ctl::refuse(macvlan.error());
  const bool has_macvlan = macvlan->exit_code == 0;
  say.line("Asked of kernel a, and in the card of nic0 (its filter takes 10 ms a command) after:");
  for (const Way& way : ways(lab, *groups)) {
    if (way.address == kMacvlan && !has_macvlan) {
      say.line("  (macvlan left out: this kernel has none)");
    } else if (auto shown = show(lab, say, report, way); !shown) {
      return shown;
    }
  }
  say.line("The kernel announces some of these and is silent about others; those are found by looking, every 250 ms.");
  if (has_macvlan) {
    if (auto done = lab.must_run_in("a", {"ip", "link", "del", "mv0"}); !done) return done;
  }
  if (auto done = lab.must_run_in("a", {"ip", "maddr", "del", kMaddr.to_string(), "dev", "nic0"}); !done) return done;
  if (auto done = lab.must_run_in("a", {"bridge", "fdb", "del", kFdbEntry.to_string(), "dev", "nic0", "self"}); !done) {
    return done;
  }
  return lab.must_run_in("a", {"ip", "link", "set", "nic0", "promisc", "off"});
}

}  // namespace usernic::cli
