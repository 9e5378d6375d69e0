// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/feature_names.h"

#include <fmt/format.h>

#include <array>

#include "ctl/did_you_mean.h"

namespace usernic::daemon {
namespace {

struct Short {
  std::string_view name;
  Features features;
};
constexpr auto kShort = std::to_array<Short>({{"tx", {Feature::kTxSum}},
                                              {"tso", {Feature::kTso4, Feature::kTso6, Feature::kTsoEcn}},
                                              {"gso", {Feature::kGso}},
                                              {"gro", {Feature::kGro}}});

Feature nth(uint32_t n) {
  return static_cast<Feature>(n);
}

Features named(std::string_view name) {
  for (const Short& each : kShort) {
    if (each.name == name) return each.features;
  }
  for (uint32_t i = 0; i < kFeatureCount; ++i) {
    if (kFeatureNames[i] == name) return {nth(i)};
  }
  return {};
}

std::vector<std::string_view> all_names() {
  std::vector<std::string_view> names(kFeatureNames.begin(), kFeatureNames.end());
  for (const Short& each : kShort) names.push_back(each.name);
  return names;
}

}  // namespace

ctl::Outcome<Features> with_wishes(std::string_view dev, Features on, Features hw,
                                   const std::vector<ctl::FeatureWish>& wishes) {
  for (const ctl::FeatureWish& wish : wishes) {
    const Features features = named(wish.name);
    if (features.none()) {
      return ctl::refuse(fmt::format("there is no feature '{}'{}", ctl::shortened(wish.name),
                                     ctl::suggestion(wish.name, all_names())));
    }
    if ((features & hw).none()) {
      if (!wish.on) continue;  // it is off
      return ctl::refuse(fmt::format("{} has no {}: its card cannot do it", dev, wish.name));
    }
    on = wish.on ? on | (features & hw) : on.without(features);
  }
  return on;
}

std::string unfulfilled(std::string_view dev, Features on, Features wanted,
                        const std::vector<ctl::FeatureWish>& wishes) {
  std::string names;
  for (const ctl::FeatureWish& wish : wishes) {
    if (!wish.on || (named(wish.name) & wanted).without(on).none()) continue;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", wish.name);
  }
  if (names.empty()) return {};
  return fmt::format("{} keeps {} off: another feature that it goes with is off, or its driver wants it so", dev,
                     names);
}

std::vector<ctl::EthtoolReport::Feature> feature_rows(Features on, Features hw) {
  std::vector<ctl::EthtoolReport::Feature> rows;
  for (uint32_t i = 0; i < kFeatureCount; ++i) {
    rows.push_back({std::string(kFeatureNames[i]), on.has(nth(i)), !hw.has(nth(i))});
  }
  return rows;
}

}  // namespace usernic::daemon
