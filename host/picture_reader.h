// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: takes the pictures that the mirror lives on: LINK, neighbour dump, LINK of one interface.
//
// The dump is RTM_GETNEIGH of PF_BRIDGE, which shows dev->uc and dev->mc whoever put the entries there. The kernel
// holds the lock on both lists while it fills one part; between two parts entries may go, the rest moves up, and the
// first ones behind the seam are missed. A picture that came in one part has no seam. One that has seams is followed by
// one with smaller parts, and so on by turns, so that two pictures in a row do not miss the same entries. Where it
// matters which of the two lists an entry is in, the mc list is read as well (mc_lists.h).
//
// Locks: none, one owner. Context: process. Errors: ENODEV, the interface is gone; anything else: try again later.
#pragma once

#include <array>
#include <optional>

#include "host/mc_lists.h"
#include "host/mirror.h"
#include "host/netlink_socket.h"

namespace usernic {

class PictureReader {
 public:
  static HostResult<PictureReader> open(const NetNamespace& netns, int ifindex);

  // Costs the kernel about 0.1 us an entry under its lock on the lists.
  HostResult<HostPicture> read();

 private:
  PictureReader(NetlinkSocket large_parts, NetlinkSocket small_parts, McLists mc_lists, int ifindex);
  HostResult<HostLink> read_link(NetlinkSocket& socket);
  HostResult<> read_addresses(NetlinkSocket& socket, HostPicture& picture);
  std::optional<bool> uc_empty(const HostPicture& picture);

  std::array<NetlinkSocket, 2> sockets_;
  McLists mc_lists_;
  size_t next_socket_ = 0;
  size_t last_count_ = 0;
  int ifindex_;
};

// The entry of a neighbour dump or event: an address in the uc or mc list of that interface, or nothing.
std::optional<MacAddress> parse_list_entry(const nlmsghdr& message, int ifindex);

}  // namespace usernic
// Explained best by: host/picture_reader_test.cc
