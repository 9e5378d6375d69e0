// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: asking and telling the kernel about one of its interfaces.
//
// Works in the network namespace it was opened in. Interfaces are named by their index, which stays the same when
// somebody renames them.
//
// Locks: none, one owner. Context: process; the kernel takes rtnl. Errors: a sentence that ends with the kernel's
// words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/mirror.h"
#include "host/netlink_socket.h"

namespace usernic {

// A question for one LINK answer, and what the answer says. nullopt: not of that interface, or malformed.
NetlinkMessage link_question(int ifindex);
std::optional<HostLink> parse_link(const nlmsghdr& message, int ifindex);
// Is it the end of that interface in this namespace [RTM_DELLINK; a bridge's word about its port is not]?
bool is_link_gone(const nlmsghdr& message, int ifindex);
// The ifindex of what a message of a link, a neighbour or an address is about; 0: it has none.
int interface_of(const nlmsghdr& message);

class Rtnetlink {
 public:
  static HostResult<Rtnetlink> open(const NetNamespace& netns);

  // ENODEV: there is no such interface.
  HostResult<int> ifindex(const std::string& name);
  HostResult<HostLink> link(int ifindex);
  // Of a TAP of several queues: how many have a descriptor. Nothing: it is no such interface, or the kernel is older
  // than 4.20.
  std::optional<uint32_t> tun_queues(int ifindex);

  HostResult<> set_up(int ifindex, bool up);
  HostResult<> set_mtu(int ifindex, uint32_t mtu);
  HostResult<> set_address(int ifindex, const MacAddress& address);
  // "10.9.0.1/24" or "fd00::1/64"; without a prefix length the address alone. EINVAL: not an address.
  // EEXIST: the interface has it.
  HostResult<> add_ip_address(int ifindex, std::string_view address);
  HostResult<> del_ip_address(int ifindex, std::string_view address);
  // Deletes all of them at once. The kernel has a wait in each deletion, and one for a whole group.
  HostResult<> del_links(const std::vector<int>& ifindexes);

 private:
  explicit Rtnetlink(NetlinkSocket socket) noexcept : socket_(std::move(socket)) {}
  HostResult<> change(nl_msg& message, const char* what);
  HostResult<> change_ip_address(int type, int flags, int ifindex, std::string_view address);
  NetlinkSocket socket_;
};

}  // namespace usernic
// Explained best by: host/rtnetlink_test.cc
