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

// What one part of a dump holds at most: less than the 32 KiB that the kernel would fill, of which it keeps some for
// itself, so that a part is as long as we ask for when it is full. And how much may wait: a dump goes on only while we
// read.
inline constexpr size_t kDumpPartBytes = 31 * 1024;
inline constexpr size_t kDumpBacklogBytes = 256 * 1024;

// Of one namespace, for all readers there.
struct PictureSockets {
  static HostResult<PictureSockets> open(const NetNamespace& netns);
  std::array<NetlinkSocket, 2> parts;  // large ones, small ones
  McLists mc_lists;
};

class PictureReader {
 public:
  // `sockets` outlive it.
  PictureReader(PictureSockets& sockets, int ifindex) noexcept : sockets_(&sockets), ifindex_(ifindex) {}

  // Costs the kernel about 0.1 us an entry under its lock on the lists.
  HostResult<HostPicture> read();

 private:
  HostResult<HostLink> read_link(NetlinkSocket& socket);
  HostResult<> read_addresses(NetlinkSocket& socket, HostPicture& picture);
  std::optional<bool> uc_empty(const HostPicture& picture);

  PictureSockets* sockets_;
  size_t next_socket_ = 0;
  size_t last_count_ = 0;
  int ifindex_;
};

// The entry of a neighbour dump or event: an address in the uc or mc list of that interface, or nothing.
std::optional<MacAddress> parse_list_entry(const nlmsghdr& message, int ifindex);

}  // namespace usernic
// Explained best by: host/picture_reader_test.cc
