// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/event_socket.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cstring>

#include "host/picture_reader.h"
#include "host/rtnetlink.h"

namespace usernic {

namespace {

// Newer than Debian 12's headers.
constexpr int kIpv4McaddrGroup = 37;    // RTNLGRP_IPV4_MCADDR
constexpr int kIpv6McaddrGroup = 38;    // RTNLGRP_IPV6_MCADDR
constexpr uint16_t kNewMulticast = 56;  // RTM_NEWMULTICAST
constexpr uint16_t kDelMulticast = 57;  // RTM_DELMULTICAST

constexpr size_t kEventsBacklogBytes = 4 * 1024 * 1024;
constexpr int kDatagramsPerRead = 512;

// RFC 1112 6.4: the low 23 bits of an IPv4 group; RFC 2464 7: the low 32 bits of an IPv6 group.
std::optional<MacAddress> address_of_group(const nlattr& group) {
  uint8_t octets[16];
  const size_t bytes = static_cast<size_t>(nla_len(&group));
  if (bytes != 4 && bytes != 16) return std::nullopt;
  std::memcpy(octets, nla_data(&group), bytes);
  if (bytes == 4) return MacAddress{{0x01, 0x00, 0x5e, static_cast<uint8_t>(octets[1] & 0x7f), octets[2], octets[3]}};
  return MacAddress{{0x33, 0x33, octets[12], octets[13], octets[14], octets[15]}};
}

std::optional<MacAddress> parse_group(const nlmsghdr& message, int ifindex) {
  ifaddrmsg header;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof header)) return std::nullopt;
  std::memcpy(&header, NLMSG_DATA(&message), sizeof header);
  if (static_cast<int>(header.ifa_index) != ifindex) return std::nullopt;
  auto* mutable_message = const_cast<nlmsghdr*>(&message);  // libnl only reads it
  const nlattr* group = nlmsg_find_attr(mutable_message, sizeof header, IFA_MULTICAST);
  if (group == nullptr) return std::nullopt;
  return address_of_group(*group);
}

std::optional<HostEvent> address_event(HostEvent::Kind kind, std::optional<MacAddress> address) {
  if (!address) return std::nullopt;
  return HostEvent{kind, *address};
}

}  // namespace

std::optional<HostEvent> parse_event(const nlmsghdr& message, int ifindex) {
  using Kind = HostEvent::Kind;
  switch (message.nlmsg_type) {
    case RTM_NEWNEIGH:
      return address_event(Kind::kAddressAdded, parse_list_entry(message, ifindex));
    case RTM_DELNEIGH:
      return address_event(Kind::kAddressDeleted, parse_list_entry(message, ifindex));
    case kNewMulticast:
      return address_event(Kind::kAddressAdded, parse_group(message, ifindex));
    case kDelMulticast:
      return address_event(Kind::kAddressDeleted, parse_group(message, ifindex));
    case RTM_NEWLINK:
      if (!parse_link(message, ifindex)) return std::nullopt;
      return HostEvent{Kind::kLinkChanged, {}};
    case RTM_DELLINK:
      if (!is_link_gone(message, ifindex)) return std::nullopt;
      return HostEvent{Kind::kLinkGone, {}};
    default:
      return std::nullopt;
  }
}

HostResult<EventSocket> EventSocket::open(const NetNamespace& netns) {
  auto socket = NetlinkSocket::open(netns, NetlinkSocket::kEventBytesMax, kEventsBacklogBytes);
  if (!socket) return std::unexpected(socket.error());
  for (int group : {RTNLGRP_LINK, RTNLGRP_NEIGH}) {
    if (const auto joined = socket->join(group); !joined) {
      return host_fail(joined.error(), "cannot listen to the kernel's announcements of link changes");
    }
  }
  bool joins_are_announced = true;
  for (int group : {kIpv4McaddrGroup, kIpv6McaddrGroup}) joins_are_announced &= socket->join(group).has_value();
  return EventSocket(std::move(*socket), joins_are_announced);
}

bool EventSocket::read(std::vector<InterfaceEvent>& events, const std::function<bool(int)>& of_interest) {
  for (int i = 0; i < kDatagramsPerRead; ++i) {
    const auto datagram = socket_.receive();
    if (!datagram && datagram.error() == std::errc::resource_unavailable_try_again) return false;
    const bool well_formed = datagram && for_each_message(*datagram, [&](const nlmsghdr& message) {
                               const int ifindex = interface_of(message);
                               if (ifindex == 0 || !of_interest(ifindex)) return;
                               if (const auto event = parse_event(message, ifindex))
                                 events.push_back({ifindex, *event});
                             });
    if (well_formed) continue;
    // Lost, cut off, or not understood: something happened.
    events.push_back({0, {HostEvent::Kind::kEventsLost, {}}});
    if (!datagram && datagram.error() != std::errc::no_buffer_space) return false;
  }
  return true;
}

}  // namespace usernic
