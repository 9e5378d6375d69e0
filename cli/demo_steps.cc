// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo_steps.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/show.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

constexpr uint64_t kBurstChanges = 10'000;
constexpr uint64_t kPings = 5;
constexpr uint64_t kPingSeconds = 10;  // a ping outlives a demo that is killed

// "5 packets transmitted, 5 received, ..." in ping's summary.
bool parse_ping(const std::string& text, DemoReport::Ping& ping) {
  const size_t at = text.find(" packets transmitted");
  if (at == std::string::npos) return false;
  const size_t line = text.rfind('\n', at);
  return std::sscanf(text.c_str() + (line == std::string::npos ? 0 : line + 1), "%lu packets transmitted, %lu received",
                     &ping.sent, &ping.received) == 2;
}

std::string with_commas(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

}  // namespace

void Narrator::title(const std::string& text) {
  if (speaks_) ctl::print(stdout, fmt::format("\n{}{}{}\n", bold_ ? "\033[1m" : "", text, bold_ ? "\033[0m" : ""));
  std::fflush(stdout);
}

void Narrator::line(const std::string& text) {
  if (speaks_) ctl::print(stdout, text + "\n");
  std::fflush(stdout);
}

ctl::Outcome<> show_lab(DemoLab& lab, Narrator& say, DemoReport&) {
  const auto rows = lab.ctl().ask<std::vector<ctl::LinkRow>>({.verb = "link"});
  if (!rows) return ctl::refuse(rows.error());
  say.line("'usernic run' is up: network namespaces a and b, held by descriptors only.");
  say.line("$ usernic link");
  std::string table = show_links(*rows);
  table.pop_back();
  say.line(table);
  return {};
}

ctl::Outcome<> ping_across(DemoLab& lab, Narrator& say, DemoReport& report) {
  const std::string count = std::to_string(kPings), deadline = std::to_string(kPingSeconds);
  say.line(fmt::format("$ usernic exec a -- ping -c {} -i 0.2 10.9.0.2", count));
  const auto output = lab.run_in("a", {"ping", "-c", count, "-i", "0.2", "-w", deadline, "10.9.0.2"});
  if (!output) return ctl::refuse(output.error());
  if (!parse_ping(output->text, report.ping)) return ctl::refuse("ping did not run: " + output->text);
  say.line(fmt::format("{} sent, {} received: kernel a -> nic0's driver -> wire -> nic1's driver -> kernel b, and back",
                       report.ping.sent, report.ping.received));
  if (report.ping.received < kPings) return ctl::refuse("not every ping came back");
  return {};
}

ctl::Outcome<> change_in_a_burst(DemoLab& lab, Narrator& say, DemoReport& report) {
  const auto burst = lab.ctl().ask<ctl::BurstReport>(
      {.verb = "burst", .dev = "nic0", .timeout_ms = kPatienceMs, .changes = kBurstChanges});
  if (!burst) return ctl::refuse(burst.error());
  if (!burst->settled) {
    return ctl::refuse(fmt::format("after {} the changes were still not in effect", show_time(burst->settled_us)));
  }
  report.burst = {burst->changes, burst->driver_calls, burst->change_p99_us};
  say.line(fmt::format(
      "{} changes of nic0's multicast list, each of another address, then all taken back; in effect after {}:",
      with_commas(burst->changes), show_time(burst->settled_us)));
  say.line(fmt::format("  the driver was called    {} times", burst->driver_calls));
  say.line(fmt::format("  each change took         {:.2f} us (median), {:.2f} us (p99): nobody waits for the card",
                       burst->change_p50_us, burst->change_p99_us));
  return {};
}

}  // namespace usernic::cli
