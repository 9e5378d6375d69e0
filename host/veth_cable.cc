// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/veth_cable.h"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <cstring>
#include <new>
#include <utility>

#include "host/interface_kind.h"
#include "host/rtnetlink.h"

namespace usernic {
namespace {

constexpr char kOurs[] = "usernic";
constexpr uint32_t kMtuMax = 65'535;
constexpr size_t kAnswerBytes = 16 * 1024;
constexpr size_t kBacklogBytes = 64 * 1024;
constexpr int kIflaTargetNetnsid = 46;  // IFLA_TARGET_NETNSID
constexpr int kAddrGenModeNone = 1;     // IN6_ADDR_GEN_MODE_NONE

NetlinkMessage about_link(int type, int ifindex, int flags = 0, unsigned up = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  header.ifi_flags = up;
  header.ifi_change = change;
  return netlink_message(type, flags, &header, sizeof header);
}

// A number of an answer that has such a header.
template <class Header>
std::optional<int> number_in(const nlmsghdr& message, int attribute) {
  const nlattr* const found = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof(Header), attribute);
  if (found == nullptr || nla_len(found) < 4) return std::nullopt;
  return static_cast<int>(nla_get_u32(found));
}

// The interface where the question is asked, the other end in `ours`.
NetlinkMessage new_pair(const std::string& name, int ours) {
  NetlinkMessage message = about_link(RTM_NEWLINK, 0, NLM_F_CREATE | NLM_F_EXCL);
  nla_put_string(message.get(), IFLA_IFNAME, name.c_str());
  nlattr* const info = nla_nest_start(message.get(), IFLA_LINKINFO);
  nla_put_string(message.get(), IFLA_INFO_KIND, "veth");
  nlattr* const data = nla_nest_start(message.get(), IFLA_INFO_DATA);
  nlattr* const peer = nla_nest_start(message.get(), VETH_INFO_PEER);
  ifinfomsg header{};
  nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO);
  nla_put_string(message.get(), IFLA_IFNAME, kOurs);
  nla_put_u32(message.get(), IFLA_MTU, kMtuMax);
  nla_put_u32(message.get(), IFLA_NET_NS_FD, static_cast<uint32_t>(ours));
  nla_nest_end(message.get(), peer);
  nla_nest_end(message.get(), data);
  nla_nest_end(message.get(), info);
  return message;
}

// A kernel without IPv6, or one that is switched off, has none to keep quiet.
bool has_no_ip6(std::errc error) {
  return error == std::errc::address_family_not_supported || error == std::errc::operation_not_supported ||
         error == std::errc::invalid_argument;
}

HostError cannot_make(const std::string& name, const NetNamespace& netns, const HostError& why) {
  if (why.error == std::errc::file_exists) {
    std::string kind;
    (void)netns.run([&] { kind = kind_of_interface(name); });
    return {std::errc::device_or_resource_busy,
            fmt::format("cannot make interface \"{}\": the name is in use in that network namespace, by {}", name,
                        kind.empty() ? "another interface" : fmt::format("a {}", kind))};
  }
  if (why.error == std::errc::operation_not_permitted) {
    return {why.error,
            fmt::format("cannot make interface \"{}\": that needs root, or a user namespace of one's own", name)};
  }
  if (why.error == std::errc::operation_not_supported) {
    return {why.error, fmt::format("cannot make interface \"{}\": this kernel has no veth", name)};
  }
  return {why.error, fmt::format("cannot make interface \"{}\" as a veth: {}", name, why.sentence)};
}

}  // namespace

HostResult<std::unique_ptr<VethCable>> VethCable::make(const NetNamespace& netns, const std::string& name) {
  HostResult<NetNamespace> ours = NetNamespace::create();
  if (!ours) return std::unexpected(ours.error());
  HostResult<NetlinkSocket> there = NetlinkSocket::open(*ours, kAnswerBytes, kBacklogBytes);
  if (!there) return std::unexpected(there.error());
  HostResult<NetlinkSocket> here = NetlinkSocket::open(netns, kAnswerBytes, kBacklogBytes);
  if (!here) return std::unexpected(here.error());
  const NetlinkMessage pair = new_pair(name, ours->fd());
  std::unique_ptr<VethCable> cable(new VethCable(*std::move(ours), *std::move(there)));
  if (const HostResult<> made = here->command(*pair); !made) {
    return std::unexpected(cannot_make(name, netns, made.error()));
  }
  if (const HostResult<> quiet = cable->keep_quiet(); !quiet) {
    return host_fail(quiet.error().error, fmt::format("interface \"{}\": {}", name, quiet.error().sentence));
  }
  return cable;
}

VethCable::~VethCable() {
  cut();
}

// Our end says nothing by itself.
HostResult<> VethCable::keep_quiet() {
  const NetlinkMessage which = about_link(RTM_GETLINK, 0);
  nla_put_string(which.get(), IFLA_IFNAME, kOurs);
  const auto found = there_.ask(*which, [&](const nlmsghdr& message) { ifindex_ = interface_of(message); });
  if (!found) return host_fail(found.error().error, "cannot find its other end: " + found.error().sentence);
  const NetlinkMessage quiet = about_link(RTM_NEWLINK, ifindex_);
  nlattr* const families = nla_nest_start(quiet.get(), IFLA_AF_SPEC);
  nlattr* const ip6 = nla_nest_start(quiet.get(), AF_INET6);
  nla_put_u8(quiet.get(), IFLA_INET6_ADDR_GEN_MODE, kAddrGenModeNone);
  nla_nest_end(quiet.get(), ip6);
  nla_nest_end(quiet.get(), families);
  const HostResult<> done = there_.command(*quiet);
  if (done || has_no_ip6(done.error().error)) return {};
  return host_fail(done.error().error, "cannot keep its other end from IPv6: " + done.error().sentence);
}

Result<> VethCable::set_ours_up(bool up) {
  const HostResult<> done = there_.command(*about_link(RTM_NEWLINK, ifindex_, 0, up ? IFF_UP : 0, IFF_UP));
  return done ? Result<>() : fail(done.error().error);
}

Result<VethCable::Far> VethCable::far() {
  Far far;
  if (ifindex_ == 0) return fail(std::errc::bad_file_descriptor);
  const auto answer = there_.ask(*about_link(RTM_GETLINK, ifindex_), [&](const nlmsghdr& message) {
    far.ifindex = number_in<ifinfomsg>(message, IFLA_LINK).value_or(0);
    far.nsid = number_in<ifinfomsg>(message, IFLA_LINK_NETNSID);
  });
  if (!answer || far.ifindex == 0) return fail(std::errc::bad_file_descriptor);
  return far;
}

std::string VethCable::name_of(const Far& far) {
  const NetlinkMessage question = about_link(RTM_GETLINK, far.ifindex);
  if (far.nsid) nla_put_u32(question.get(), kIflaTargetNetnsid, static_cast<uint32_t>(*far.nsid));
  std::string now;
  (void)there_.ask(*question, [&](const nlmsghdr& message) {
    const nlattr* const name = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof(ifinfomsg), IFLA_IFNAME);
    if (name == nullptr) return;
    const auto* const text = static_cast<const char*>(nla_data(name));
    now.assign(text, ::strnlen(text, static_cast<size_t>(nla_len(name))));
  });
  return now;
}

std::optional<int> VethCable::nsid_of(int netns_fd) {
  const rtgenmsg header{};
  const NetlinkMessage question = netlink_message(RTM_GETNSID, 0, &header, sizeof header);
  nla_put_u32(question.get(), NETNSA_FD, static_cast<uint32_t>(netns_fd));
  std::optional<int> nsid;
  (void)there_.ask(*question, [&](const nlmsghdr& message) { nsid = number_in<rtgenmsg>(message, NETNSA_NSID); });
  return nsid;
}

void VethCable::cut() noexcept {
  try {
    if (const int ifindex = std::exchange(ifindex_, 0); ifindex != 0) {
      (void)there_.command(*about_link(RTM_DELLINK, ifindex));
    }
  } catch (const std::bad_alloc&) {  // it goes with its namespace
  }
}

}  // namespace usernic
