// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/interface_offloads.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace usernic {
namespace {

// Sums and superframes of any kind. The generic one is how the kernel itself cuts what it may not leave.
bool is_offload(std::string_view name) {
  return name.starts_with("tx-checksum-") || name.starts_with("tx-gso-") ||
         (name.starts_with("tx-") && name.ends_with("-segmentation") && name != "tx-generic-segmentation");
}

bool is_on(std::string_view name, Features on) {
  const auto* const known = std::ranges::find(kFeatureNames, name);
  return known != kFeatureNames.end() && on.has(static_cast<Feature>(known - kFeatureNames.begin()));
}

Result<> ethtool(int door, const std::string& interface, void* what) noexcept {
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min(interface.size(), sizeof request.ifr_name - 1));
  request.ifr_data = static_cast<char*>(what);
  // More than 0: of the features that were asked for some cannot be.
  return ::ioctl(door, SIOCETHTOOL, &request) >= 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

// In the order of their numbers.
std::vector<std::string> feature_names(int door, const std::string& interface) {
  std::array<uint32_t, (sizeof(ethtool_sset_info) + sizeof(uint32_t)) / sizeof(uint32_t)> info_room{};
  auto* const info = reinterpret_cast<ethtool_sset_info*>(info_room.data());
  info->cmd = ETHTOOL_GSSET_INFO;
  info->sset_mask = 1ull << ETH_SS_FEATURES;
  if (!ethtool(door, interface, info) || info->sset_mask == 0) return {};
  const uint32_t count = info_room.back();
  std::vector<uint8_t> room(sizeof(ethtool_gstrings) + size_t{count} * ETH_GSTRING_LEN);
  auto* const strings = reinterpret_cast<ethtool_gstrings*>(room.data());
  strings->cmd = ETHTOOL_GSTRINGS;
  strings->string_set = ETH_SS_FEATURES;
  strings->len = count;
  if (!ethtool(door, interface, strings)) return {};
  std::vector<std::string> names;
  for (uint32_t n = 0; n < std::min(strings->len, count); ++n) {
    const auto* const name = reinterpret_cast<const char*>(strings->data + size_t{n} * ETH_GSTRING_LEN);
    names.emplace_back(name, ::strnlen(name, ETH_GSTRING_LEN));
  }
  return names;
}

}  // namespace

Result<> set_interface_offloads(int door, const std::string& interface, Features on) {
  const std::vector<std::string> names = feature_names(door, interface);
  const auto blocks = static_cast<uint32_t>((names.size() + 31) / 32);
  std::vector<uint8_t> room(sizeof(ethtool_sfeatures) + blocks * sizeof(ethtool_set_features_block));
  auto* const wanted = reinterpret_cast<ethtool_sfeatures*>(room.data());
  wanted->cmd = ETHTOOL_SFEATURES;
  wanted->size = blocks;
  for (uint32_t bit = 0; bit < names.size(); ++bit) {
    if (!is_offload(names[bit])) continue;
    ethtool_set_features_block& block = wanted->features[bit / 32];
    block.valid |= 1u << bit % 32;
    if (is_on(names[bit], on)) block.requested |= 1u << bit % 32;
  }
  return ethtool(door, interface, wanted);
}

}  // namespace usernic
