// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/rtnetlink.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace usernic {

namespace {

constexpr size_t kAnswerBytes = 16 * 1024;

std::optional<ifinfomsg> header_of(const nlmsghdr& message, int ifindex) {
  ifinfomsg header;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof header)) return std::nullopt;
  std::memcpy(&header, NLMSG_DATA(&message), sizeof header);
  if (header.ifi_family != AF_UNSPEC || header.ifi_index != ifindex) return std::nullopt;
  return header;
}

NetlinkMessage link_message(int ifindex, unsigned flags = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return netlink_message(RTM_NEWLINK, 0, &header, sizeof header);
}

struct IpAddress {
  int family = AF_INET;
  uint8_t octets[16] = {};
  int bytes = 4;
  uint8_t prefix_bits = 32;
};

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  IpAddress ip;
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  if (::inet_pton(AF_INET, address.c_str(), ip.octets) != 1) {
    if (::inet_pton(AF_INET6, address.c_str(), ip.octets) != 1) return std::nullopt;
    ip.family = AF_INET6, ip.bytes = 16, ip.prefix_bits = 128;
  }
  if (slash == text.npos) return ip;
  const std::string_view bits = text.substr(slash + 1);
  uint8_t value = 0;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), value);
  if (error != std::errc{} || end != bits.data() + bits.size() || value > ip.prefix_bits) return std::nullopt;
  ip.prefix_bits = value;
  return ip;
}

}  // namespace

NetlinkMessage link_question(int ifindex) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  NetlinkMessage message = netlink_message(RTM_GETLINK, 0, &header, sizeof header);
  nla_put_u32(message.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

std::optional<HostLink> parse_link(const nlmsghdr& message, int ifindex) {
  if (message.nlmsg_type != RTM_NEWLINK) return std::nullopt;
  const auto header = header_of(message, ifindex);
  if (!header) return std::nullopt;
  nla_policy policy[IFLA_MAX + 1] = {};
  policy[IFLA_ADDRESS] = {.type = NLA_UNSPEC, .minlen = 6, .maxlen = 6};
  policy[IFLA_MTU] = policy[IFLA_PROMISCUITY] = policy[IFLA_ALLMULTI] = {.type = NLA_U32, .minlen = 4, .maxlen = 4};
  policy[IFLA_CARRIER] = {.type = NLA_U8, .minlen = 1, .maxlen = 1};
  nlattr* attributes[IFLA_MAX + 1];
  auto* mutable_message = const_cast<nlmsghdr*>(&message);  // libnl only reads it
  if (nlmsg_parse(mutable_message, sizeof *header, attributes, IFLA_MAX, policy) < 0) return std::nullopt;
  if (attributes[IFLA_MTU] == nullptr || attributes[IFLA_ADDRESS] == nullptr) return std::nullopt;

  const auto number = [&](int type) { return attributes[type] != nullptr ? nla_get_u32(attributes[type]) : 0; };
  HostLink link;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.promiscuity = number(IFLA_PROMISCUITY);
  link.allmulti = number(IFLA_ALLMULTI);
  // Kernels before 6.0 show the flag alone.
  if (attributes[IFLA_ALLMULTI] == nullptr && (header->ifi_flags & IFF_ALLMULTI) != 0) link.allmulti = 1;
  link.mtu = number(IFLA_MTU);
  link.address = MacAddress::from_bytes(nla_data(attributes[IFLA_ADDRESS]));
  if (link.up && attributes[IFLA_CARRIER] != nullptr) link.carrier = nla_get_u8(attributes[IFLA_CARRIER]) != 0;
  return link;
}

int interface_of(const nlmsghdr& message) {
  // All three headers have it in the same place.
  static_assert(offsetof(ifinfomsg, ifi_index) == offsetof(ndmsg, ndm_ifindex));
  static_assert(offsetof(ifinfomsg, ifi_index) == offsetof(ifaddrmsg, ifa_index));
  int32_t ifindex = 0;
  constexpr size_t kAt = offsetof(ifinfomsg, ifi_index);
  if (message.nlmsg_len < NLMSG_LENGTH(kAt + sizeof ifindex)) return 0;
  std::memcpy(&ifindex, static_cast<const uint8_t*>(NLMSG_DATA(&message)) + kAt, sizeof ifindex);
  return ifindex;
}

bool is_link_gone(const nlmsghdr& message, int ifindex) {
  return message.nlmsg_type == RTM_DELLINK && header_of(message, ifindex).has_value();
}

HostResult<Rtnetlink> Rtnetlink::open(const NetNamespace& netns) {
  HostResult<NetlinkSocket> socket = NetlinkSocket::open(netns, kAnswerBytes, 64 * 1024);
  if (!socket) return std::unexpected(socket.error());
  return Rtnetlink(std::move(*socket));
}

HostResult<int> Rtnetlink::ifindex(const std::string& name) {
  const ifinfomsg header{};
  const NetlinkMessage question = netlink_message(RTM_GETLINK, 0, &header, sizeof header);
  nla_put_string(question.get(), IFLA_IFNAME, name.c_str());
  int index = 0;
  const auto answer = socket_.ask(*question, [&](const nlmsghdr& message) {
    ifinfomsg info;
    if (message.nlmsg_type != RTM_NEWLINK || message.nlmsg_len < NLMSG_LENGTH(sizeof info)) return;
    std::memcpy(&info, NLMSG_DATA(&message), sizeof info);
    index = info.ifi_index;
  });
  if (!answer) {
    return host_fail(answer.error().error,
                     fmt::format("cannot find the interface \"{}\": {}", name, answer.error().sentence));
  }
  if (index <= 0)
    return host_fail(EBADMSG, fmt::format("cannot find the interface \"{}\": the kernel's answer is malformed", name));
  return index;
}

HostResult<HostLink> Rtnetlink::link(int ifindex) {
  std::optional<HostLink> link;
  const NetlinkMessage question = link_question(ifindex);
  const auto answer = socket_.ask(*question, [&](const nlmsghdr& message) { link = parse_link(message, ifindex); });
  if (!answer) return host_fail(answer.error().error, "cannot read the interface: " + answer.error().sentence);
  if (!link) return host_fail(EBADMSG, "cannot read the interface: the kernel's answer is malformed");
  return *link;
}

std::optional<uint32_t> Rtnetlink::tun_queues(int ifindex) {
  std::optional<uint32_t> queues;
  const NetlinkMessage question = link_question(ifindex);
  (void)socket_.ask(*question, [&](const nlmsghdr& message) {
    const auto header = header_of(message, ifindex);
    if (!header || message.nlmsg_type != RTM_NEWLINK) return;
    auto* mutable_message = const_cast<nlmsghdr*>(&message);  // libnl only reads it
    nlattr* const info = nlmsg_find_attr(mutable_message, sizeof *header, IFLA_LINKINFO);
    nlattr* const data =
        info == nullptr ? nullptr : nla_find(static_cast<nlattr*>(nla_data(info)), nla_len(info), IFLA_INFO_DATA);
    nlattr* const count =
        data == nullptr ? nullptr : nla_find(static_cast<nlattr*>(nla_data(data)), nla_len(data), IFLA_TUN_NUM_QUEUES);
    if (count != nullptr && nla_len(count) >= 4) queues = nla_get_u32(count);
  });
  return queues;
}

HostResult<> Rtnetlink::change(nl_msg& message, const char* what) {
  HostResult<> done = socket_.command(message);
  if (!done) done.error().sentence = fmt::format("cannot {}: {}", what, done.error().sentence);
  return done;
}

HostResult<> Rtnetlink::set_up(int ifindex, bool up) {
  return change(*link_message(ifindex, up ? IFF_UP : 0, IFF_UP), up ? "set it up" : "set it down");
}

HostResult<> Rtnetlink::set_mtu(int ifindex, uint32_t mtu) {
  const NetlinkMessage message = link_message(ifindex);
  nla_put_u32(message.get(), IFLA_MTU, mtu);
  return change(*message, fmt::format("set its MTU to {}", mtu).c_str());
}

HostResult<> Rtnetlink::set_address(int ifindex, const MacAddress& address) {
  const NetlinkMessage message = link_message(ifindex);
  nla_put(message.get(), IFLA_ADDRESS, static_cast<int>(address.octets.size()), address.octets.data());
  return change(*message, fmt::format("set its address to {}", address.to_string()).c_str());
}

HostResult<> Rtnetlink::del_links(const std::vector<int>& ifindexes) {
  const auto group = static_cast<uint32_t>(random_u64() | 1u << 30);  // one that nobody has
  for (const int ifindex : ifindexes) {
    const NetlinkMessage message = link_message(ifindex);
    nla_put_u32(message.get(), IFLA_GROUP, group);
    (void)change(*message, "put it into a group");  // who is not in it stays
  }
  const ifinfomsg header{};
  const NetlinkMessage message = netlink_message(RTM_DELLINK, 0, &header, sizeof header);
  nla_put_u32(message.get(), IFLA_GROUP, group);
  return change(*message, "delete a group of interfaces");
}

HostResult<> Rtnetlink::add_ip_address(int ifindex, std::string_view address) {
  return change_ip_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address);
}

HostResult<> Rtnetlink::del_ip_address(int ifindex, std::string_view address) {
  return change_ip_address(RTM_DELADDR, 0, ifindex, address);
}

HostResult<> Rtnetlink::change_ip_address(int type, int flags, int ifindex, std::string_view address) {
  const auto ip = parse_ip_address(address);
  if (!ip) {
    return host_fail(EINVAL,
                     fmt::format("\"{}\" is not an IP address with a prefix length, such as 10.9.0.1/24", address));
  }
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(ip->family);
  header.ifa_prefixlen = ip->prefix_bits;
  header.ifa_index = static_cast<uint32_t>(ifindex);
  const NetlinkMessage message = netlink_message(type, flags, &header, sizeof header);
  nla_put(message.get(), IFA_LOCAL, ip->bytes, ip->octets);
  nla_put(message.get(), IFA_ADDRESS, ip->bytes, ip->octets);
  const bool add = type == RTM_NEWADDR;
  return change(*message, fmt::format("{} {} {} it", add ? "add" : "take", address, add ? "to" : "from").c_str());
}

}  // namespace usernic
