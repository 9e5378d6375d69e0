// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/link_watch.h"

#include <linux/rtnetlink.h>

#include "host/rtnetlink.h"

namespace usernic {

namespace {

constexpr size_t kWatchBacklogBytes = 1024 * 1024;

}  // namespace

HostResult<LinkWatch> LinkWatch::begin(const NetNamespace& netns) {
  auto socket = NetlinkSocket::open(netns, NetlinkSocket::kEventBytesMax, kWatchBacklogBytes);
  if (!socket) return std::unexpected(socket.error());
  if (const auto joined = socket->join(RTNLGRP_LINK); !joined) {
    return host_fail(joined.error(), "cannot listen to the kernel's announcements of link changes");
  }
  return LinkWatch(*std::move(socket));
}

const std::vector<HostLink>& LinkWatch::announced(int ifindex) {
  for (;;) {
    const auto datagram = socket_.receive();
    if (!datagram && datagram.error() != std::errc::no_buffer_space) return announced_;
    if (!datagram) continue;
    (void)for_each_message(*datagram, [&](const nlmsghdr& message) {
      if (const auto link = parse_link(message, ifindex)) announced_.push_back(*link);
    });
  }
}

}  // namespace usernic
