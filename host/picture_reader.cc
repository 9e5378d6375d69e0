// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/picture_reader.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <cstring>

#include "host/rtnetlink.h"

namespace usernic {

namespace {

// The golden section of the large ones: the seams of the two stay apart for as many parts as possible.
constexpr size_t kSmallPartBytes = 19 * 1024;

}  // namespace

std::optional<MacAddress> parse_list_entry(const nlmsghdr& message, int ifindex) {
  ndmsg header;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof header)) return std::nullopt;
  std::memcpy(&header, NLMSG_DATA(&message), sizeof header);
  // Without NTF_SELF it is an entry of the bridge that the interface is a port of.
  if (header.ndm_family != PF_BRIDGE || header.ndm_ifindex != ifindex || (header.ndm_flags & NTF_SELF) == 0) {
    return std::nullopt;
  }
  auto* mutable_message = const_cast<nlmsghdr*>(&message);  // libnl only reads it
  const nlattr* address = nlmsg_find_attr(mutable_message, sizeof header, NDA_LLADDR);
  if (address == nullptr || nla_len(address) != 6) return std::nullopt;
  return MacAddress::from_bytes(nla_data(address));
}

HostResult<PictureSockets> PictureSockets::open(const NetNamespace& netns) {
  auto large = NetlinkSocket::open(netns, kDumpPartBytes, kDumpBacklogBytes);
  if (!large) return std::unexpected(large.error());
  auto small = NetlinkSocket::open(netns, kSmallPartBytes, kDumpBacklogBytes);
  if (!small) return std::unexpected(small.error());
  return PictureSockets{{std::move(*large), std::move(*small)}, McLists::open(netns)};
}

HostResult<HostLink> PictureReader::read_link(NetlinkSocket& socket) {
  std::optional<HostLink> link;
  const NetlinkMessage question = link_question(ifindex_);
  const auto answer = socket.ask(*question, [&](const nlmsghdr& message) { link = parse_link(message, ifindex_); });
  if (!answer) return std::unexpected(answer.error());
  if (!link) return host_fail(EBADMSG, "the kernel's LINK answer is malformed");
  return *link;
}

HostResult<> PictureReader::read_addresses(NetlinkSocket& socket, HostPicture& picture) {
  ndmsg header{};
  header.ndm_family = PF_BRIDGE;
  header.ndm_ifindex = ifindex_;
  const NetlinkMessage question = netlink_message(RTM_GETNEIGH, NLM_F_DUMP, &header, sizeof header);
  const auto answer = socket.ask(*question, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWNEIGH) return;
    if (const auto address = parse_list_entry(message, ifindex_)) picture.addresses.push_back(*address);
  });
  if (!answer) return std::unexpected(answer.error());
  picture.whole = answer->whole && !answer->interrupted;
  return {};
}

// The mc list is a second look, so it is spared where the answer changes nothing.
std::optional<bool> PictureReader::uc_empty(const HostPicture& picture) {
  if (picture.addresses.empty()) return true;
  if (picture.before.promiscuity != 1) return std::nullopt;
  if (const auto mc_list = sockets_->mc_lists.read(ifindex_)) return uc_list_was_empty(picture.addresses, *mc_list);
  return picture.addresses.front().is_multicast();  // as nearly always
}

HostResult<HostPicture> PictureReader::read() {
  NetlinkSocket& socket = sockets_->parts[next_socket_];
  HostPicture picture;
  picture.addresses.reserve(last_count_ + 16);
  picture.begun = Clock::now();
  const auto before = read_link(socket);  // its receive also tells the kernel the size of our parts
  if (!before) return std::unexpected(before.error());
  picture.before = *before;
  if (const auto dumped = read_addresses(socket, picture); !dumped) return std::unexpected(dumped.error());
  picture.uc_empty = uc_empty(picture);
  const auto after = read_link(socket);
  if (!after) return std::unexpected(after.error());
  picture.after = *after;
  picture.ended = Clock::now();
  last_count_ = picture.addresses.size();
  next_socket_ = picture.whole ? 0 : 1 - next_socket_;
  return picture;
}

}  // namespace usernic
