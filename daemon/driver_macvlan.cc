// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <array>

#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/macvlan/macvlan.h"

namespace usernic::daemon {
namespace {

constexpr auto kMacvlanKeys = std::to_array<std::string_view>({"mode"});
constexpr auto kMacvlanModes = std::to_array<std::pair<std::string_view, MacvlanMode>>(
    {{"bridge", MacvlanMode::kBridge}, {"private", MacvlanMode::kPrivate}, {"passthru", MacvlanMode::kPassthru}});

void read_macvlan(Section& section, NicConfig& nic) {
  MacvlanMode mode = MacvlanMode::kBridge;
  section.choice("mode", mode, kMacvlanModes);
  nic.section = mode;
}

}  // namespace

extern const Driver kMacvlanDriver;
const Driver kMacvlanDriver{
    .name = "macvlan",
    .help = "one of several nics on another, with an address of its own",
    .mtu_max = kMtuMax,
    .keys = kMacvlanKeys,
    .read = read_macvlan,
    .lowers_max = 1,
    .share =
        [](const NicConfig& nic) {
          return Share{nic.section_as(MacvlanMode::kBridge) == MacvlanMode::kPassthru ? Share::Of::kAll
                                                                                      : Share::Of::kSome};
        },
    .probe =
        [](const ProbeSite& site, const NetdevConfig& config) {
          return Macvlan::probe(site.net, config, *site.lowers[0], site.nic.section_as(MacvlanMode::kBridge));
        },
};

}  // namespace usernic::daemon
