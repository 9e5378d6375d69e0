// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the kernel's announcements about the interfaces of a network namespace.
//
//   RTNLGRP_LINK          up/down, MTU, address, promiscuity, allmulti, the end of the interface
//   RTNLGRP_NEIGH         bridge fdb add|del ... self
//   RTNLGRP_IPV4_MCADDR   IPv4 groups joined and left; the Ethernet address is derived from the group
//   RTNLGRP_IPV6_MCADDR   the same for IPv6
//
// The last two are new in Linux 6.15 or so: where they cannot be joined, those changes are silent, which is no error.
// Announcements are hints; what was lost (ENOBUFS) becomes a hint too.
//
// Locks: none, one owner. Context: process. Errors: only opening fails.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "host/mirror.h"
#include "host/netlink_socket.h"

namespace usernic {

// What a message says about that interface, if anything. Never reads past the message.
std::optional<HostEvent> parse_event(const nlmsghdr& message, int ifindex);

struct InterfaceEvent {
  int ifindex;  // 0: any
  HostEvent event;
};

class EventSocket {
 public:
  static HostResult<EventSocket> open(const NetNamespace& netns);

  // Appends what waits about interfaces `of_interest`, and returns true while there may be more.
  bool read(std::vector<InterfaceEvent>& events, const std::function<bool(int ifindex)>& of_interest);

  bool joins_are_announced() const noexcept { return joins_are_announced_; }
  int fd() const noexcept { return socket_.fd(); }

 private:
  EventSocket(NetlinkSocket socket, bool joins_are_announced) noexcept
      : socket_(std::move(socket)), joins_are_announced_(joins_are_announced) {}
  NetlinkSocket socket_;
  bool joins_are_announced_;
};

}  // namespace usernic
// Explained best by: host/event_socket_test.cc
