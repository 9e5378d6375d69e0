// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what an interface was like since before it was made, as the kernel announced it.
//
// Between two looks somebody may give it an address or an MTU (udev's policies do, soon after it was made), and we may
// take that for what it was made with, or write over it. The kernel announces each change in order, so nothing falls
// between.
//
// Locks: none, one owner. Context: process. Errors: only beginning fails; what was lost (ENOBUFS) is not known.
#pragma once

#include <optional>
#include <vector>

#include "host/mirror.h"
#include "host/netlink_socket.h"

namespace usernic {

class LinkWatch {
 public:
  // Begins before the interface is made, or attached to.
  static HostResult<LinkWatch> begin(const NetNamespace& netns);

  // All that was announced, oldest first. A new interface is announced as it was made.
  const std::vector<HostLink>& announced(int ifindex);

  // The newest value that somebody else gave it before `ours` was in place; `first` is what it had at the beginning.
  template <class T>
  std::optional<T> given(int ifindex, T HostLink::*value, const T& first, const T& ours) {
    std::optional<T> newest;
    for (const HostLink& link : announced(ifindex)) {
      if (link.*value == ours) break;
      if (link.*value != first) newest = link.*value;
    }
    return newest;
  }

 private:
  explicit LinkWatch(NetlinkSocket socket) noexcept : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
  std::vector<HostLink> announced_;
};

}  // namespace usernic
// Explained best by: host/host_port_start_test.cc
