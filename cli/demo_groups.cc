// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo_groups.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace usernic::cli {
namespace {

// IPv4: 01:00:5e and the group's low 23 bits. IPv6: 33:33 and its low 32 bits.
constexpr uint64_t kIpv4Prefix = 0x0100'5e00'0000;
constexpr uint64_t kIpv4Bits = 0x7f'ffff;
constexpr uint64_t kIpv6Prefix = 0x3333'0000'0000;

uint32_t low_32_bits(const in6_addr& address) {
  uint32_t word;
  std::memcpy(&word, address.s6_addr + 12, sizeof word);
  return ntohl(word);
}

}  // namespace

MacAddress mac_of_group(const std::string& group) {
  if (in_addr v4; ::inet_pton(AF_INET, group.c_str(), &v4) == 1) {
    return MacAddress::from_u64(kIpv4Prefix | (ntohl(v4.s_addr) & kIpv4Bits));
  }
  in6_addr v6{};
  ::inet_pton(AF_INET6, group.c_str(), &v6);
  return MacAddress::from_u64(kIpv6Prefix | low_32_bits(v6));
}

ctl::Outcome<int> ifindex_of(const UniqueFd& socket, const std::string& dev) {
  ifreq request{};
  dev.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(socket.get(), SIOCGIFINDEX, &request) != 0) return ctl::refuse(fmt::format("there is no {}", dev));
  return request.ifr_ifindex;
}

ctl::Outcome<DemoGroups> DemoGroups::open(DemoLab& lab, const std::string& host, const std::string& dev) {
  auto sockets = lab.sockets_in(host, {{AF_INET, SOCK_DGRAM, 0}, {AF_INET6, SOCK_DGRAM, 0}});
  if (!sockets) return ctl::refuse(sockets.error());
  const auto ifindex = ifindex_of(sockets->at(0), dev);
  if (!ifindex) return ctl::refuse(ifindex.error());
  return DemoGroups(std::move(sockets->at(0)), std::move(sockets->at(1)), *ifindex);
}

ctl::Outcome<> DemoGroups::change(const std::string& group, bool join) {
  ip_mreqn v4{};
  v4.imr_ifindex = ifindex_;
  ipv6_mreq v6{};
  v6.ipv6mr_interface = static_cast<unsigned>(ifindex_);
  int failed;
  if (::inet_pton(AF_INET, group.c_str(), &v4.imr_multiaddr) == 1) {
    failed = ::setsockopt(v4_.get(), IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &v4, sizeof v4);
  } else {
    ::inet_pton(AF_INET6, group.c_str(), &v6.ipv6mr_multiaddr);
    failed = ::setsockopt(v6_.get(), IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &v6, sizeof v6);
  }
  if (failed == 0) return {};
  return ctl::refuse(fmt::format("cannot {} {}: {}", join ? "join" : "leave", group, std::strerror(errno)));
}

}  // namespace usernic::cli
