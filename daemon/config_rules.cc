// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ctl/did_you_mean.h"
#include "daemon/config.h"
#include "daemon/drivers.h"

namespace usernic::daemon {
namespace {

void check_unique_hosts(const Config& config, FirstError& error) {
  std::map<std::string_view, int> lines;
  for (const HostConfig& host : config.hosts) {
    const auto [first, is_new] = lines.emplace(host.name, host.line);
    if (is_new || host.name.empty()) continue;
    error.note(host.line, fmt::format("a second host is called '{}', like the one in line {}; names must be unique",
                                      ctl::shortened(host.name), first->second));
  }
}

void check_unique_nics(const Config& config, FirstError& error) {
  std::map<std::string_view, int> lines;
  std::map<MacAddress, const NicConfig*> addresses;
  for (const NicConfig& nic : config.nics) {
    const auto [first, is_new] = lines.emplace(nic.name, nic.line);
    if (!is_new && !nic.name.empty()) {
      error.note(nic.line, fmt::format("a second nic is called '{}', like the one in line {}; names must be unique",
                                       ctl::shortened(nic.name), first->second));
    }
    if (nic.address.is_zero()) continue;
    const auto [other, is_free] = addresses.emplace(nic.address, &nic);
    if (is_free) continue;
    error.note(nic.address_line,
               fmt::format("the nic '{}' has the address {} of the nic '{}' in line {}; addresses must differ",
                           ctl::shortened(nic.name), nic.address.to_string(), ctl::shortened(other->second->name),
                           other->second->address_line));
  }
}

void check_hosts_exist(const Config& config, FirstError& error) {
  std::vector<std::string_view> names;
  for (const HostConfig& host : config.hosts) names.push_back(host.name);
  for (const NicConfig& nic : config.nics) {
    if (nic.host.empty() || std::ranges::find(names, nic.host) != names.end()) continue;
    const std::string others = names.empty() ? "; add [[host]] with that name" : ctl::suggestion(nic.host, names);
    error.note(nic.host_line, fmt::format("the nic '{}' is on the host '{}', which the file does not have{}",
                                          ctl::shortened(nic.name), ctl::shortened(nic.host), others));
  }
}

void check_ip6_mtu(const Config& config, FirstError& error) {
  for (const NicConfig& nic : config.nics) {
    const auto ip6 = std::ranges::find_if(nic.addresses, [](const auto& address) { return address.contains(':'); });
    if (nic.mtu >= kIp6MtuMin || ip6 == nic.addresses.end()) continue;
    error.note(nic.mtu_line,
               fmt::format("the nic '{}' has the IPv6 address {}, but its mtu is {}; IPv6 needs an mtu of "
                           "at least {}",
                           ctl::shortened(nic.name), *ip6, nic.mtu, kIp6MtuMin));
  }
}

void check_vlans(const Config& config, FirstError& error) {
  for (const NicConfig& nic : config.nics) {
    const bool filters =
        nic.driver != nullptr && nic.driver->filters_vlans != nullptr && nic.driver->filters_vlans(nic);
    if (!nic.vlans || filters) continue;
    error.note(nic.vlans_line,
               fmt::format("the nic '{}' has 'vlans', but its card has no VLAN filter; give it vlan_slots "
                           "in [nic.simnic], or leave 'vlans' out",
                           ctl::shortened(nic.name)));
  }
}

}  // namespace

void check_rules(const Config& config, FirstError& error) {
  if (config.nics.empty() && !error)
    error.note(1, "the file has no [[nic]]; it needs at least one, with a name and a driver");
  check_unique_hosts(config, error);
  check_unique_nics(config, error);
  check_hosts_exist(config, error);
  check_ip6_mtu(config, error);
  check_vlans(config, error);
}

}  // namespace usernic::daemon
