// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netns_audit.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "host/picture_reader.h"
#include "host/rtnetlink.h"

namespace usernic {

HostResult<NetnsAudit> NetnsAudit::open(const NetNamespace& netns) {
  HostResult<NetlinkSocket> socket = NetlinkSocket::open(netns, kDumpPartBytes, kDumpBacklogBytes);
  if (!socket) return std::unexpected(socket.error());
  return NetnsAudit(*std::move(socket), McLists::open(netns));
}

HostResult<> NetnsAudit::read(const std::function<bool(int)>& of_interest) {
  for (auto& [_, seen] : seen_) {
    seen.linked = false, seen.whole = true, seen.uc_empty.reset();
    seen.addresses.clear();  // and keeps its room
  }
  addresses_ = foreign_ = 0;
  if (const HostResult<> links = read_links(of_interest); !links) return links;
  if (const HostResult<> addresses = read_addresses(of_interest); !addresses) return addresses;
  std::erase_if(seen_, [](const auto& each) { return !each.second.linked; });
  read_mc_lists();
  return {};
}

HostResult<> NetnsAudit::read_links(const std::function<bool(int)>& of_interest) {
  ifinfomsg header{};
  const NetlinkMessage question = netlink_message(RTM_GETLINK, NLM_F_DUMP, &header, sizeof header);
  nla_put_u32(question.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  nlattr* const kind = nla_nest_start(question.get(), IFLA_LINKINFO);
  nla_put_string(question.get(), IFLA_INFO_KIND, "tun");  // of others the kernel need not speak
  nla_nest_end(question.get(), kind);
  const auto answer = socket_.ask(*question, [&](const nlmsghdr& message) {
    const int ifindex = interface_of(message);
    if (!of_interest(ifindex)) {
      ++foreign_;
    } else if (const auto link = parse_link(message, ifindex)) {
      Seen& seen = seen_[ifindex];
      seen.link = *link, seen.linked = true;
    }
  });
  if (!answer) return std::unexpected(answer.error());
  return {};
}

HostResult<> NetnsAudit::read_addresses(const std::function<bool(int)>& of_interest) {
  ndmsg header{};
  header.ndm_family = PF_BRIDGE;
  const NetlinkMessage question = netlink_message(RTM_GETNEIGH, NLM_F_DUMP, &header, sizeof header);
  Seen* last = nullptr;  // whose entries are coming; null: not of interest
  int last_ifindex = 0;
  const auto visit = [&](const nlmsghdr& message) {
    const int ifindex = interface_of(message);
    if (ifindex != last_ifindex) {
      const auto found = of_interest(ifindex) ? seen_.find(ifindex) : seen_.end();
      last = found != seen_.end() ? &found->second : nullptr;
      last_ifindex = ifindex;
    }
    if (last == nullptr) {
      ++foreign_;
    } else if (const auto address = parse_list_entry(message, ifindex)) {
      last->addresses.push_back(*address);
      ++addresses_;
    }
  };
  // The kernel goes on with the interface that it was at.
  const auto seam = [&] {
    if (last != nullptr) last->whole = false;
  };
  const auto answer = socket_.ask(*question, visit, seam);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

// The mc lists of all are one file, which is read only where an answer matters.
void NetnsAudit::read_mc_lists() {
  const auto matters = [](const Seen& seen) { return seen.link.promiscuity == 1 && !seen.addresses.empty(); };
  bool any = false;
  for (auto& [_, seen] : seen_) {
    if (seen.addresses.empty()) seen.uc_empty = true;
    any |= matters(seen);
  }
  if (!any) return;
  const auto lists = mc_lists_.read_all();
  if (!lists) return;
  for (auto& [ifindex, seen] : seen_) {
    if (!matters(seen)) continue;
    const auto list = lists->find(ifindex);
    seen.uc_empty = uc_list_was_empty(seen.addresses, list != lists->end() ? list->second : std::vector<MacAddress>{});
  }
}

const InterfaceView* NetnsAudit::view(int ifindex) const {
  const auto found = seen_.find(ifindex);
  return found == seen_.end() ? nullptr : &found->second;
}

}  // namespace usernic
