// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ctl/did_you_mean.h"
#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/bond/bond.h"

namespace usernic::daemon {
namespace {

constexpr auto kBondKeys = std::to_array<std::string_view>({"mode", "primary"});
constexpr auto kBondModes = std::to_array<std::pair<std::string_view, BondMode>>(
    {{"active-backup", BondMode::kActiveBackup}, {"802.3ad", BondMode::k8023ad}});

struct BondSection {
  BondMode mode = BondMode::kActiveBackup;
  std::string primary;  // empty: there is none
};

void read_bond(Section& section, NicConfig& nic) {
  BondSection bond;
  std::string& primary = bond.primary;
  section.choice("mode", bond.mode, kBondModes);
  section.text("primary", primary, "nic0");
  if (!primary.empty() && bond.mode != BondMode::kActiveBackup) {
    section.bad("primary", "belongs to the mode \"active-backup\"; in \"802.3ad\" all are used");
  }
  if (!primary.empty() && std::ranges::find(nic.over, primary) == nic.over.end()) {
    const std::vector<std::string_view> names(nic.over.begin(), nic.over.end());
    section.bad("primary", fmt::format("names '{}', which the nic is not over{}", ctl::shortened(primary),
                                       ctl::suggestion(primary, names)));
  }
  nic.section = std::move(bond);
}

Result<> add_bond_lower(const NicConfig& nic, NetDevice& dev, NetDevice& lower) {
  if (const Result<> added = Bond::of(dev).add_lower(lower); !added) return added;
  return lower.name() == nic.section_as<BondSection>().primary ? Bond::of(dev).set_primary(&lower) : Result<>();
}

// Without an address it has that of its first lower device, as the kernel's has.
Result<NetdevPtr> probe_bond(const ProbeSite& site, const NetdevConfig& given) {
  NetdevConfig config = given;
  if (config.address.is_zero()) config.address = site.lowers[0]->address();
  return Bond::probe(site.net, config, site.nic.section_as<BondSection>().mode);
}

}  // namespace

extern const Driver kBondDriver;
const Driver kBondDriver{
    .name = "bond",
    .help = "several nics as one: one is used at a time, or all",
    .mtu_max = kMtuMax,
    .keys = kBondKeys,
    .read = read_bond,
    .lowers_max = kLowersMax,
    .share = [](const NicConfig&) { return Share{Share::Of::kAll}; },
    .add_lower = add_bond_lower,
    .probe = probe_bond,
};

}  // namespace usernic::daemon
