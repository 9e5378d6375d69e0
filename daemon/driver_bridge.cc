// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <algorithm>
#include <array>

#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/bridge/bridge.h"

namespace usernic::daemon {
namespace {

constexpr auto kBridgeKeys = std::to_array<std::string_view>({"ageing_s", "static"});
constexpr int64_t kBridgeAgeingMax = 1'000'000;

struct StaticStation {
  MacAddress address;
  std::string port;
};
struct BridgeSection {
  std::chrono::seconds ageing = std::chrono::duration_cast<std::chrono::seconds>(Bridge::kAgeing);
  std::vector<StaticStation> stations;
};

// "02:00:00:00:00:07 nic0"
bool take_station(const ConfigValue& item, const NicConfig& nic, std::vector<StaticStation>& stations) {
  const auto* text = item.as<std::string>();
  if (text == nullptr) return false;
  const size_t space = text->find(' ');
  if (space == std::string::npos) return false;
  const auto address = MacAddress::parse(text->substr(0, space));
  const std::string port = text->substr(space + 1);
  const bool right = address && address->is_valid_own() && std::ranges::find(nic.over, port) != nic.over.end();
  if (!right || std::ranges::find(stations, *address, &StaticStation::address) != stations.end()) return false;
  stations.push_back({*address, port});
  return true;
}

void read_bridge(Section& section, NicConfig& nic) {
  BridgeSection bridge;
  int64_t ageing_s = bridge.ageing.count();
  section.number("ageing_s", ageing_s, 1, kBridgeAgeingMax);
  bridge.ageing = std::chrono::seconds(ageing_s);
  section.list("static",
               "a list of a unicast address and one of 'over' each, like \"02:00:00:00:00:07 nic0\", each address once",
               [&](const ConfigValue& item) { return take_station(item, nic, bridge.stations); });
  nic.section = std::move(bridge);
}

Result<> add_bridge_lower(const NicConfig& nic, NetDevice& dev, NetDevice& lower) {
  Bridge& bridge = Bridge::of(dev);
  if (const Result<> added = bridge.add_port(lower); !added) return added;
  for (const StaticStation& station : nic.section_as<BridgeSection>().stations) {
    if (station.port != lower.name()) continue;
    if (const Result<> added = bridge.add_static(station.address, lower); !added) return added;
  }
  return {};
}

}  // namespace

extern const Driver kBridgeDriver;
const Driver kBridgeDriver{
    .name = "bridge",
    .help = "a switch of several nics, and a nic at it",
    .mtu_max = kMtuMax,
    .keys = kBridgeKeys,
    .read = read_bridge,
    .lowers_max = kLowersMax,
    .share = [](const NicConfig&) { return Share{Share::Of::kAll}; },
    .add_lower = add_bridge_lower,
    .probe =
        [](const ProbeSite& site, const NetdevConfig& config) {
          return Bridge::probe(site.net, config, site.nic.section_as<BridgeSection>().ageing);
        },
};

}  // namespace usernic::daemon
