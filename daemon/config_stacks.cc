// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_stacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "ctl/did_you_mean.h"
#include "daemon/config.h"
#include "daemon/drivers.h"
#include "usernic/lower_link.h"

namespace usernic::daemon {
namespace {

struct StackedNic {
  NicConfig* nic;
  std::vector<StackedNic*> lowers, uppers;
  size_t unplaced = 0;  // lowers whose height is not known yet
  int height = 0;       // devices in the tallest stack that ends with it; 0: not known, it is over a circle
};
using Stacks = std::vector<StackedNic>;  // in the order of the file

std::string_view name_of(const StackedNic& it) {
  return it.nic->name;
}

// Of two nics of one name the first.
Stacks find_lowers(Config& config, FirstError& error) {
  Stacks all;
  std::map<std::string_view, StackedNic*> by_name;
  for (NicConfig& nic : config.nics) all.push_back({.nic = &nic});
  std::vector<std::string_view> names;
  for (StackedNic& each : all) {
    by_name.emplace(name_of(each), &each);
    names.push_back(name_of(each));
  }
  for (StackedNic& upper : all) {
    for (const std::string& name : upper.nic->over) {
      const auto lower = by_name.find(name);
      if (lower == by_name.end()) {
        error.note(upper.nic->over_line,
                   fmt::format("the nic '{}' is over '{}', which names no nic of the file{}",
                               ctl::shortened(name_of(upper)), ctl::shortened(name), ctl::suggestion(name, names)));
        continue;
      }
      upper.lowers.push_back(lower->second);
      lower->second->uppers.push_back(&upper);
    }
  }
  return all;
}

// Of each whose stack has an end.
void measure(Stacks& all) {
  std::vector<StackedNic*> placed;
  for (StackedNic& each : all) {
    each.unplaced = each.lowers.size();
    if (each.unplaced == 0) each.height = 1, placed.push_back(&each);
  }
  for (size_t i = 0; i < placed.size(); ++i) {
    for (StackedNic* const upper : placed[i]->uppers) {
      if (--upper->unplaced != 0) continue;
      const auto tallest = std::ranges::max(upper->lowers, {}, &StackedNic::height);
      upper->height = tallest->height + 1;
      placed.push_back(upper);
    }
  }
}

// "a, which is over b, which is over a". Whatever is over a circle has one below it, so going down ends in it.
std::string circle_below(const StackedNic& start) {
  std::vector<const StackedNic*> way;
  const StackedNic* at = &start;
  while (std::ranges::find(way, at) == way.end()) {
    way.push_back(at);
    at = *std::ranges::find(at->lowers, 0, &StackedNic::height);
  }
  way.erase(way.begin(), std::ranges::find(way, at));
  if (way.size() == 1) return fmt::format("the nic '{}' is over itself", ctl::shortened(name_of(*at)));
  std::string text = fmt::format("the nic '{}'", ctl::shortened(name_of(*at)));
  way.push_back(at);
  for (size_t i = 1; i < way.size(); ++i) {
    text += fmt::format("{} is over '{}'", i == 1 ? "" : ", which", ctl::shortened(name_of(*way[i])));
  }
  return text;
}

void check_heights(const Stacks& all, FirstError& error) {
  const auto endless = std::ranges::find(all, 0, &StackedNic::height);
  if (endless != all.end()) {
    error.note(endless->nic->over_line,
               circle_below(*endless) + "; below every nic there must be one that is over none");
  }
  for (const StackedNic& each : all) {
    if (each.height != kStackMax + 1) continue;
    error.note(each.nic->over_line, fmt::format("the nic '{}' is number {} of those above each other; there are at "
                                                "most {}",
                                                ctl::shortened(name_of(each)), each.height, kStackMax));
  }
}

// The lowest first.
void settle_mtus(const Stacks& all, FirstError& error) {
  std::vector<const StackedNic*> upwards;
  for (const StackedNic& each : all) {
    if (!each.lowers.empty()) upwards.push_back(&each);
  }
  std::ranges::sort(upwards, {}, [](const StackedNic* each) { return std::pair(each->height, each->nic); });
  for (const StackedNic* const each : upwards) {
    const auto mtu = [](const StackedNic* lower) { return lower->nic->mtu; };
    const StackedNic& smallest = *std::ranges::min(each->lowers, {}, mtu);
    NicConfig& nic = *each->nic;
    if (!nic.mtu_given) nic.mtu = mtu(&smallest);
    if (nic.mtu <= mtu(&smallest)) continue;
    error.note(nic.mtu_line,
               fmt::format("the nic '{}' has an mtu of {}, but is over '{}', whose mtu is {}; it must be at "
                           "most that",
                           ctl::shortened(nic.name), nic.mtu, ctl::shortened(name_of(smallest)), smallest.nic->mtu));
  }
}

std::string share_text(const Share& share) {
  return share.of == Share::Of::kVlan  ? fmt::format("the VLAN {}", share.vlan_id)
         : share.of == Share::Of::kAll ? "every frame"
                                       : "frames";
}

void check_shares(const Stacks& all, FirstError& error) {
  for (const StackedNic& lower : all) {
    std::map<std::pair<Share::Of, uint16_t>, const StackedNic*> first;  // of each share
    for (const StackedNic* const upper : lower.uppers) {
      const Share share = upper->nic->driver->share(*upper->nic);
      for (const auto& [taken, by] : first) {
        if (share.goes_with({taken.first, taken.second})) continue;
        error.note(upper->nic->over_line,
                   fmt::format("the nic '{}' takes {} of '{}', of which the nic '{}' in line {} takes {}; only one can",
                               ctl::shortened(name_of(*upper)), share_text(share), ctl::shortened(name_of(lower)),
                               ctl::shortened(name_of(*by)), by->nic->line, share_text({taken.first, taken.second})));
      }
      first.emplace(std::pair(share.of, share.vlan_id), upper);
      if (share.of == Share::Of::kAll && !lower.nic->addresses.empty()) {
        error.note(
            lower.nic->addresses_line,
            fmt::format("the nic '{0}' has 'addresses', but the nic '{1}' in line {2} takes every frame of it; give "
                        "them to '{1}'",
                        ctl::shortened(name_of(lower)), ctl::shortened(name_of(*upper)), upper->nic->line));
      }
    }
  }
}

void settle_interfaces(const Stacks& all, FirstError& error) {
  for (const StackedNic& each : all) {
    NicConfig& nic = *each.nic;
    const bool placed = !nic.host.empty() || !nic.addresses.empty();
    if (!nic.interface_given) nic.interface = each.uppers.empty() || placed;
    if (nic.interface || !placed) continue;
    const bool host = !nic.host.empty();
    error.note(host ? nic.host_line : nic.addresses_line,
               fmt::format("the nic '{}' has {}, but interface = false; leave one of them out",
                           ctl::shortened(nic.name), host ? "a 'host'" : "'addresses'"));
  }
}

}  // namespace

void settle_stacks(Config& config, FirstError& error) {
  Stacks all = find_lowers(config, error);
  measure(all);
  check_heights(all, error);
  if (error) return;  // the rest goes by drivers and by heights
  settle_mtus(all, error);
  check_shares(all, error);
  settle_interfaces(all, error);
  std::ranges::sort(all, {}, [](const StackedNic& each) { return std::pair(each.height, each.nic); });
  std::vector<NicConfig> ordered;
  for (const StackedNic& each : all) ordered.push_back(std::move(*each.nic));
  config.nics = std::move(ordered);
}

}  // namespace usernic::daemon
