// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_netconsole.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ctl/did_you_mean.h"
#include "daemon/config.h"
#include "daemon/config_names.h"
#include "daemon/config_section.h"

namespace usernic::daemon {
namespace {

constexpr auto kKeys = std::to_array<std::string_view>({"nic", "remote", "remote_address"});

// "10.9.0.2:6666" or "[fd09::2]:6666", of one station.
bool take_remote(std::string_view text, NetconsoleConfig& netconsole) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon + 1 == text.size()) return false;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, bad] = std::from_chars(port.begin(), port.end(), netconsole.port);
  if (bad != std::errc() || end != port.end() || netconsole.port == 0) return false;
  std::string host(text.substr(0, colon));
  const bool v6 = host.starts_with('[') && host.ends_with(']');
  if (v6) host = host.substr(1, host.size() - 2);
  netconsole.remote = station_octets(host + (v6 ? "/128" : "/32"));
  return netconsole.remote.size() == (v6 ? 16u : 4u);
}

}  // namespace

std::span<const std::string_view> netconsole_keys() {
  return kKeys;
}

NetconsoleConfig read_netconsole(const ConfigTable& table, int line, FirstError& error) {
  Section section(table, line, "[netconsole]", kKeys, error);
  NetconsoleConfig netconsole{
      .line = line, .nic_line = section.line_at("nic"), .remote_line = section.line_at("remote")};
  std::string remote, address;
  section.missing("nic", "\"nic0\"");
  section.missing("remote", "\"10.9.0.2:6666\"");
  section.text("nic", netconsole.nic, "nic0");
  section.text("remote", remote, "10.9.0.2:6666");
  if (section.given_text("remote") != nullptr && !take_remote(remote, netconsole)) {
    section.bad("remote", fmt::format("must be a unicast address and a port, like \"10.9.0.2:6666\" or "
                                      "\"[fd09::2]:6666\", not \"{}\"",
                                      ctl::shortened(remote)));
  }
  section.text("remote_address", address, "02:00:00:00:00:02");
  if (section.given_text("remote_address") != nullptr) {
    const std::optional<MacAddress> parsed = MacAddress::parse(address);
    if (!parsed || parsed->is_zero()) {
      section.bad("remote_address", fmt::format("must be an Ethernet address like \"02:00:00:00:00:02\", not \"{}\"",
                                                ctl::shortened(address)));
    }
    netconsole.remote_address = parsed.value_or(MacAddress{});
  }
  return netconsole;
}

void settle_netconsole(Config& config, FirstError& error) {
  if (!config.netconsole || error) return;
  NetconsoleConfig& netconsole = *config.netconsole;
  const auto nic = std::ranges::find(config.nics, netconsole.nic, &NicConfig::name);
  if (nic == config.nics.end()) {
    std::vector<std::string_view> names;
    for (const NicConfig& each : config.nics) names.push_back(each.name);
    return error.note(netconsole.nic_line,
                      fmt::format("[netconsole] is of the nic '{}', which the file does not have{}",
                                  ctl::shortened(netconsole.nic), ctl::suggestion(netconsole.nic, names)));
  }
  if (!nic->over.empty()) {
    return error.note(netconsole.nic_line,
                      fmt::format("[netconsole] is of the nic '{}', which is on top of others, whose queues it would "
                                  "have to wait for; name one of those",
                                  netconsole.nic));
  }
  for (const std::string& address : nic->addresses) {
    const std::string octets = station_octets(address);
    if (octets.size() != netconsole.remote.size()) continue;
    netconsole.local = octets;
    return;
  }
  error.note(netconsole.remote_line,
             fmt::format("the nic '{}' has no {} address that [netconsole] could send from; give it one in 'addresses'",
                         netconsole.nic, netconsole.remote.size() == 4 ? "IPv4" : "IPv6"));
}

}  // namespace usernic::daemon
