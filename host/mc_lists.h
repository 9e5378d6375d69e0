// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the mc lists of a namespace's interfaces, as /proc/net/dev_mcast shows them: each whole, read under one hold of
// the kernel's lock on it, in the list's order.
//
// The neighbour dump gives an interface's uc list and then its mc list, without a word where the one ends. Most
// addresses tell by their class, not all: SIOCADDMULTI takes unicast addresses, PACKET_MR_UNICAST multicast ones.
//
// Locks: none, one owner. Context: process. Errors: where /proc does not show the file, no list is known.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/netns.h"
#include "usernic/mac_address.h"
#include "usernic/unique_fd.h"

namespace usernic {

class McLists {
 public:
  static McLists open(const NetNamespace& netns);

  // That interface's list now. nullopt: not known.
  std::optional<std::vector<MacAddress>> read(int ifindex);
  // Those of all interfaces, by ifindex; who has no entry has an empty list.
  std::optional<std::unordered_map<int, std::vector<MacAddress>>> read_all();

 private:
  explicit McLists(UniqueFd file) noexcept : file_(std::move(file)) {}
  std::optional<std::string_view> read_text();
  UniqueFd file_;  // bound to the namespace in which it was opened
  std::string text_;
};

// The lines of that interface in such a text.
std::vector<MacAddress> parse_mc_list(std::string_view text, int ifindex);

// Of a dump and the mc list of about the same moment: was the uc list, which the dump began with, empty? nullopt: they
// do not fit, something changed between them.
std::optional<bool> uc_list_was_empty(const std::vector<MacAddress>& dump, const std::vector<MacAddress>& mc_list);

}  // namespace usernic
// Explained best by: host/mc_lists_test.cc
