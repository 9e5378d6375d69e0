// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the demo's own memberships in multicast groups, by sockets that live in host a, as any program joins them.
#pragma once

#include <memory>
#include <string>

#include "cli/demo_lab.h"
#include "usernic/mac_address.h"

namespace usernic::cli {

class DemoGroups {
 public:
  // On interface `dev` of the host.
  static ctl::Outcome<DemoGroups> open(DemoLab& lab, const std::string& host, const std::string& dev);

  // "239.1.2.3" or "ff15::1".
  ctl::Outcome<> join(const std::string& group) { return change(group, true); }
  ctl::Outcome<> leave(const std::string& group) { return change(group, false); }

  int ifindex() const noexcept { return ifindex_; }

 private:
  DemoGroups(UniqueFd v4, UniqueFd v6, int ifindex) : v4_(std::move(v4)), v6_(std::move(v6)), ifindex_(ifindex) {}
  ctl::Outcome<> change(const std::string& group, bool join);

  UniqueFd v4_, v6_;
  int ifindex_;
};

// The Ethernet address that a group's frames are sent to [RFC 1112, RFC 2464]. Requires: it is a group.
MacAddress mac_of_group(const std::string& group);

// The interface's index in the namespace of the socket.
ctl::Outcome<int> ifindex_of(const UniqueFd& socket, const std::string& dev);

}  // namespace usernic::cli
// Explained best by: cli/demo_test.cc
