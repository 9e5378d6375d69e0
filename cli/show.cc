// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/show.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "cli/table.h"
#include "usernic/env.h"

namespace usernic::cli {
namespace {

using ctl::RxModeReport;

std::string show_host(const std::string& host) {
  return host.empty() ? "-" : host;
}

// What the kernel calls it, and what the config does where that is another name.
std::string show_name(const ctl::LinkRow& row) {
  return row.name == row.nic ? row.name : fmt::format("{} ({})", row.name, row.nic);
}

std::string show_state(bool up, const std::string& where) {
  return where == "gone" ? where : up ? "up" : "down";
}

// Where it should be, and where it is instead.
std::string show_place(const std::string& host, const std::string& where) {
  if (where == "none") return "no interface";
  if (where == "home" || where == "gone") return show_host(host);
  return fmt::format("{}, moved to {}", show_host(host), where);
}

std::string show_refused(const ctl::RefusedWish& refused) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
  const uint64_t ago_us = std::max(static_cast<uint64_t>(now), refused.at_us) - refused.at_us;
  return fmt::format("refused \"{}\": {}, {} ago", refused.wish, refused.answer, show_time(ago_us));
}

// What the card does with a wanted address that it holds neither exactly nor by hash.
std::string without_entry(const RxModeReport& report, const MacAddress& address) {
  if (report.programmed.promisc) return "by promisc";
  if (address.is_multicast() && report.programmed.allmulti) return "by allmulti";
  return "no";
}

// "1 try", "2 tries".
std::string counted(uint64_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

std::string failure(const RxModeReport& report, const MacAddress& address) {
  const auto failed = std::ranges::find(report.failed, address, &RxModeReport::Failed::address);
  if (failed == report.failed.end()) return "";
  // The core does not ask a card for what it knows to have no room.
  if (failed->attempts == 0) return fmt::format(", {}, not tried", failed->error);
  return fmt::format(", {} after {}{}", failed->error, counted(failed->attempts, "try", "tries"),
                     failed->next_retry_ms == 0 ? "" : ", again in " + show_time(failed->next_retry_ms * 1000));
}

void add_addresses(Table& table, const RxModeReport& report, const std::vector<MacAddress>& wanted,
                   const std::vector<MacAddress>& programmed) {
  std::map<MacAddress, std::pair<bool, bool>> addresses;
  for (const MacAddress& address : wanted) addresses[address].first = true;
  for (const MacAddress& address : programmed) addresses[address].second = true;
  for (const auto& [address, is] : addresses) {
    const std::string on_card = is.second ? "yes" : without_entry(report, address);
    table.add({address.to_string(), address.is_multicast() ? "multicast" : "unicast", is.first ? "yes" : "no",
               on_card + failure(report, address)});
  }
}

std::string flag_line(std::string_view name, uint64_t references, bool on) {
  if (references == 0 && !on) return "";
  return fmt::format("  {:<9}  wanted {}, card {}\n", name, counted(references, "time", "times"), on ? "on" : "off");
}

std::string vlan_line(const RxModeReport& report) {
  if (report.wanted.vlans.empty() && report.programmed.vlans.empty()) return "";
  const std::string_view without = report.mode.reason.contains("filter open") ? "filter open" : "none";
  const auto list = [](const std::vector<uint64_t>& ids, std::string_view none) {
    return ids.empty() ? std::string(none) : fmt::format("{}", fmt::join(ids, " "));
  };
  return fmt::format("  vlans      wanted {}, card: {}\n", list(report.wanted.vlans, "none"),
                     list(report.programmed.vlans, without));
}

std::string show_rx_mode_stats(const RxModeReport::Stats& stats) {
  // No change is in effect within less than a microsecond.
  const std::string lag = stats.lag_us.max == 0 ? "none yet"
                                                : fmt::format("median {}, p99 {}, max {}", show_time(stats.lag_us.p50),
                                                              show_time(stats.lag_us.p99), show_time(stats.lag_us.max));
  return fmt::format(
      "{}, {}, {}, {} coalesced, {}, {}\n"
      "from a change to its being in effect: {}\n",
      counted(stats.changes, "change", "changes"), counted(stats.runs, "run", "runs"),
      counted(stats.driver_calls, "driver call", "driver calls"), stats.coalesced,
      counted(stats.retries, "retry", "retries"), counted(stats.failures, "failure", "failures"), lag);
}

std::string show_io(std::string_view io) {
  if (io.empty()) return "no frame goes to the kernel";
  if (io == "io_uring") return "batches of frames go to the kernel and back by io_uring";
  if (io == "mmsg") return "batches of frames go to the kernel and back by sendmmsg and recvmmsg";
  if (io == "calls") return "a system call a frame: there was no batch yet that is worth io_uring";
  return fmt::format("a system call a frame: io_uring cannot be had here ({})", io);
}

std::string show_port(std::string_view port) {
  if (port.empty()) return "";
  return port == "tap" ? "a TAP; " : fmt::format("a {}; ", port);
}

std::string show_queues(const ctl::LinkRow& row) {
  if (row.rx_queues <= 1 && row.tx_queues <= 1) return "";
  return fmt::format("; {} and {}", counted(row.rx_queues, "RX queue", "RX queues"),
                     counted(row.tx_queues, "TX queue", "TX queues"));
}

}  // namespace

std::string show_time(uint64_t us) {
  if (us < 1000) return fmt::format("{} us", us);
  if (us < 1'000'000) return fmt::format("{:.1f} ms", static_cast<double>(us) / 1e3);
  return fmt::format("{:.2f} s", static_cast<double>(us) / 1e6);
}

std::string show_links(const std::vector<ctl::LinkRow>& rows, bool details) {
  constexpr auto kNumber = Align::kRight;
  Table table({{"NAME"},
               {"DRIVER"},
               {"ADDRESS"},
               {"MTU", kNumber},
               {"STATE"},
               {"CARRIER"},
               {"HOST"},
               {"RX", kNumber},
               {"TX", kNumber},
               {"RX DROPPED", kNumber},
               {"TX DROPPED", kNumber}});
  for (const ctl::LinkRow& row : rows) {
    table.add({show_name(row), row.driver, row.address.to_string(), std::to_string(row.mtu),
               show_state(row.up, row.where), row.carrier ? "yes" : "no", show_place(row.host, row.where),
               std::to_string(row.rx_packets), std::to_string(row.tx_packets), std::to_string(row.rx_dropped),
               std::to_string(row.tx_dropped)});
  }
  std::string text = table.text();
  for (const ctl::LinkRow& row : rows) {
    if (row.refused) text += fmt::format("{}: the device {}\n", show_name(row), show_refused(*row.refused));
    if (details)
      text += fmt::format("{}: {}{}{}\n", show_name(row), show_port(row.port), show_io(row.io), show_queues(row));
  }
  return text;
}

std::string show_rx_mode(const RxModeReport& report) {
  const auto& [wanted, programmed] = report.generation;
  std::string text =
      fmt::format("{}  {}  {}  ", report.dev, report.address.to_string(), show_state(report.up, report.where));
  if (report.where == "none") {
    text += "no interface  ";
  } else if (report.where != "home" && report.where != "gone") {
    text += fmt::format("moved to {}  ", report.where);
  }
  text += wanted == programmed ? fmt::format("generation {}, in effect\n", wanted)
                               : fmt::format("generation {} wanted, {} in effect\n", wanted, programmed);
  text += fmt::format("  unicast    {}\n  multicast  {}\n", report.mode.unicast, report.mode.multicast);
  if (!report.mode.reason.empty()) text += fmt::format("  because    {}\n", report.mode.reason);
  text += flag_line("promisc", report.wanted.promiscuity, report.programmed.promisc);
  text += flag_line("allmulti", report.wanted.allmulti, report.programmed.allmulti);
  text += vlan_line(report);
  Table table({{"ADDRESS"}, {"CLASS"}, {"WANTED"}, {"CARD"}});
  add_addresses(table, report, report.wanted.unicast, report.programmed.unicast);
  add_addresses(table, report, report.wanted.multicast, report.programmed.multicast);
  if (!table.empty()) text += "\n" + table.text();
  return text + "\n" + show_rx_mode_stats(report.stats);
}

std::string show_stats(const ctl::StatsReport& report) {
  constexpr auto kNumber = Align::kRight;
  Table table({{report.dev}, {"PACKETS", kNumber}, {"BYTES", kNumber}, {"DROPPED", kNumber}, {"ERRORS", kNumber}});
  const auto add = [&](const char* name, const auto& d, const std::vector<ctl::StatsReport::Queue>& queues) {
    table.add({name, std::to_string(d.packets), std::to_string(d.bytes), std::to_string(d.dropped),
               std::to_string(d.errors)});
    for (size_t i = 0; queues.size() > 1 && i < queues.size(); ++i) {
      table.add({fmt::format("{} queue {}", name, i), std::to_string(queues[i].packets),
                 std::to_string(queues[i].bytes), std::to_string(queues[i].dropped), ""});
    }
  };
  add("rx", report.rx, report.rx_queues), add("tx", report.tx, report.tx_queues);
  return fmt::format(
      "{}\nwent no further: {} by the filter, {} with the ring full, {} too long, {} without carrier, {} refused by "
      "the kernel, {} before they were read\n{}"
      "flow control: waited {}, made others wait {}\n"
      "rx mode: {}",
      table.text(), report.drops.filter, report.drops.ring_full, report.drops.too_long, report.drops.no_carrier,
      report.drops.refused, report.drops.overrun,
      report.tx.timeouts == 0
          ? ""
          : fmt::format("a TX queue was stopped for too long: {}\n", counted(report.tx.timeouts, "time", "times")),
      counted(report.rx.pause, "time", "times"), counted(report.tx.pause, "time", "times"),
      show_rx_mode_stats(report.rx_mode));
}

std::string show_ethtool(const ctl::EthtoolReport& report, const EthtoolLine& parts) {
  const bool all = !(parts.features || parts.info || parts.link || parts.counters || parts.rings || parts.coalesce ||
                     parts.registers);
  std::string text;
  const auto part = [&](bool asked, const char* what, const auto& said, auto show) {
    if (!all && !asked) return;
    text += fmt::format("{}{}:\n", text.empty() ? "" : "\n", what);
    text += said ? show(*said) : std::string("  the driver does not say\n");
  };
  const auto line = [](const char* name, const auto& value) { return fmt::format("  {:<14}{}\n", name, value); };
  const auto or_none = [](const std::string& said) { return said.empty() ? std::string("-") : said; };
  part(parts.info, "driver", std::optional(report), [&](const ctl::EthtoolReport& r) {
    return line("driver", r.driver) + line("version", or_none(r.version)) + line("firmware", or_none(r.firmware)) +
           line("bus", or_none(r.bus));
  });
  part(parts.features, "features", std::optional(report), [&](const ctl::EthtoolReport& r) {
    std::string lines;
    for (const auto& each : r.features)
      lines += fmt::format("  {:<26}{}{}\n", each.name, each.on ? "on" : "off", each.fixed ? " [fixed]" : "");
    return lines;
  });
  part(parts.link, "link", report.link, [&](const auto& link) {
    const std::string speed = link.speed_mbps == 0 ? "unknown" : fmt::format("{} Mb/s", link.speed_mbps);
    return line("speed", speed) + line("duplex", link.duplex) + line("autoneg", link.autoneg ? "on" : "off") +
           line("port", or_none(link.port));
  });
  part(parts.rings, "rings", report.rings, [&](const auto& rings) {
    return line("rx", fmt::format("{} of at most {}", rings.rx, rings.rx_max)) +
           line("tx", fmt::format("{} of at most {}", rings.tx, rings.tx_max));
  });
  part(parts.coalesce, "coalescing", report.coalesce, [&](const auto& wait) {
    return line("rx-usecs", wait.rx_usecs) + line("rx-frames", wait.rx_frames) + line("tx-usecs", wait.tx_usecs) +
           line("tx-frames", wait.tx_frames);
  });
  part(parts.counters, "counters", report.counters, [&](const auto& counters) {
    std::string lines;
    for (const auto& each : counters) lines += fmt::format("  {:<24}{}\n", each.name, each.value);
    return lines;
  });
  part(parts.registers, "registers", report.registers, [&](const auto& registers) {
    std::string lines;
    for (const auto& each : registers)
      lines += fmt::format("  {:#06x}  {:<22}{:#x}\n", each.offset, each.name, each.value);
    return lines;
  });
  return text;
}

std::string show_event(const ctl::Event& event) {
  if (event.link) {
    const ctl::LinkRow& row = *event.link;
    return fmt::format("{}  {}  {}  mtu {}  {}  {}  {}{}\n", event.what, show_name(row), row.address.to_string(),
                       row.mtu, show_state(row.up, row.where), row.carrier ? "carrier" : "no carrier",
                       (row.where == "none" ? "" : "host ") + show_place(row.host, row.where),
                       row.refused ? "  " + show_refused(*row.refused) : "");
  }
  if (!event.says.empty())
    return fmt::format("{}  {}{}", event.what, event.says, event.says.ends_with('\n') ? "" : "\n");
  const auto& [wanted, programmed] = event.generation;
  return fmt::format("{}  {}  generation {} wanted, {} in effect  unicast {}  multicast {}{}\n", event.what, event.dev,
                     wanted, programmed, event.mode.unicast, event.mode.multicast,
                     event.mode.reason.empty() ? "" : "  (" + event.mode.reason + ")");
}

}  // namespace usernic::cli
