// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <array>

#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/vlan/vlan.h"

namespace usernic::daemon {
namespace {

constexpr auto kVlanKeys = std::to_array<std::string_view>({"id"});

void read_vlan(Section& section, NicConfig& nic) {
  uint16_t id = 0;
  section.missing("id", "5");
  section.number("id", id, 1, kVlanIdMax);
  nic.section = id;
}

}  // namespace

extern const Driver kVlanDriver;
const Driver kVlanDriver{
    .name = "vlan",
    .help = "a VLAN [802.1Q] of another nic",
    .mtu_max = kMtuMax,
    .keys = kVlanKeys,
    .read = read_vlan,
    .lowers_max = 1,
    .share =
        [](const NicConfig& nic) {
          return Share{Share::Of::kVlan, nic.section_as<uint16_t>()};
        },
    .probe =
        [](const ProbeSite& site, const NetdevConfig& config) {
          return Vlan::probe(site.net, config, *site.lowers[0], site.nic.section_as<uint16_t>());
        },
};

}  // namespace usernic::daemon
