// SPDX-License-Identifier: Apache-2.0 OR MIT
// Any octets as a config file: a config that its reader may rely on, or one sentence with file and line.
#include <any>
#include <set>

#include "daemon/config.h"
#include "daemon/config_names.h"
#include "drivers/simnic/config.h"
#include "fuzz/input.h"

namespace usernic::daemon {
namespace {

using fuzz::must;

void check_error(std::string_view error, std::string_view text) {
  fuzz::must_be_a_sentence(error);
  must(error.size() < 1000, "the sentence is a novel");
  must(error.starts_with("lab.toml:"), "the file is not named");
  const long lines = 1 + std::ranges::count(text, '\n');
  const long line = std::atol(std::string(error.substr(std::strlen("lab.toml:"))).c_str());
  must(line >= 1 && line <= lines + 1, "the line is not in the file");
}

void check_nic(const NicConfig& nic) {
  must(interface_name_error(nic.name).empty(), "a nic has no proper name");
  must(nic.address.is_zero() || nic.address.is_valid_own(), "a nic has no proper address");
  must(nic.mtu >= kMtuMin && nic.mtu <= kMtuMax, "a nic has no proper MTU");
  if (const auto* card = std::any_cast<SimnicConfig>(&nic.section)) {
    must(config_error(*card).empty(), "no card can be built like this");
  }
  for (const std::string& address : nic.addresses) must(!station_octets(address).empty(), "not a station's address");
  if (!nic.vlans) return;
  const std::set<uint16_t> ids(nic.vlans->begin(), nic.vlans->end());
  must(ids.size() == nic.vlans->size() && ids.size() <= kSimnicVlansMax, "VLAN ids are not unique");
  must(ids.empty() || (*ids.begin() >= 1 && *ids.rbegin() <= kSimnicVlansMax), "a VLAN id is out of range");
}

void check_config(const Config& config) {
  std::set<std::string> hosts, names;
  std::set<MacAddress> addresses;
  must(!config.nics.empty(), "there is no nic");
  for (const HostConfig& host : config.hosts) {
    must(host_name_error(host.name).empty() && hosts.insert(host.name).second, "a host's name is not its own");
    must(host.netns.empty() || netns_name_error(host.netns).empty(), "a host has no proper namespace");
  }
  for (const NicConfig& nic : config.nics) {
    check_nic(nic);
    must(names.insert(nic.name).second, "two nics have one name");
    must(nic.address.is_zero() || addresses.insert(nic.address).second, "two nics have one address");
    must(nic.host.empty() || hosts.contains(nic.host), "a nic is on a host that is not there");
  }
}

}  // namespace
}  // namespace usernic::daemon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = usernic::daemon::parse_config(text, "lab.toml");
  config ? usernic::daemon::check_config(*config) : usernic::daemon::check_error(config.error(), text);
  return 0;
}
