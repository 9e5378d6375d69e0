// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/interface.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "usernic/atomic.h"

namespace usernic {
namespace {

Result<> ask(int door, unsigned long request, ifreq& about) noexcept {
  return ::ioctl(door, request, &about) == 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

constexpr size_t kAnswerBytes = 16 * 1024;

// A question about the interface of that number, or a wish, for rtnetlink: by number, as a name may be another's by the
// time that the kernel reads it.
struct LinkMessage {
  nlmsghdr header{};
  ifinfomsg link{};
  rtattr attribute{};
  uint32_t value = 0;
};

Result<> send(int door, LinkMessage& message, uint32_t bytes) noexcept {
  static Atomic<uint32_t> last{0};
  message.header.nlmsg_len = bytes;
  message.header.nlmsg_flags = static_cast<uint16_t>(message.header.nlmsg_flags | NLM_F_REQUEST);
  message.header.nlmsg_seq = last.fetch_add(1) + 1;
  return ::send(door, &message, bytes, 0) == static_cast<ssize_t>(bytes) ? Result<>()
                                                                         : fail(static_cast<std::errc>(errno));
}

// The kernel answers within the call that asks. What is not the answer to that question is of one before.
Result<size_t> receive(int door, uint32_t sequence, std::span<uint8_t> answer) noexcept {
  for (;;) {
    const ssize_t bytes = ::recv(door, answer.data(), answer.size(), MSG_DONTWAIT);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return fail(static_cast<std::errc>(errno));
    nlmsghdr header;
    if (static_cast<size_t>(bytes) < sizeof header) continue;
    std::memcpy(&header, answer.data(), sizeof header);
    if (header.nlmsg_seq != sequence || header.nlmsg_len > static_cast<size_t>(bytes)) continue;
    if (header.nlmsg_type != NLMSG_ERROR) return static_cast<size_t>(header.nlmsg_len);
    nlmsgerr said;
    if (header.nlmsg_len < NLMSG_LENGTH(sizeof said.error)) continue;
    std::memcpy(&said.error, answer.data() + NLMSG_HDRLEN, sizeof said.error);
    if (said.error != 0) return fail(static_cast<std::errc>(-said.error));
    return size_t{0};
  }
}

Result<> tell(int door, LinkMessage& message, uint32_t bytes) noexcept {
  message.header.nlmsg_type = RTM_NEWLINK;
  message.header.nlmsg_flags = NLM_F_ACK;
  if (const Result<> sent = send(door, message, bytes); !sent) return sent;
  alignas(nlmsghdr) std::array<uint8_t, 1024> room;
  const Result<size_t> done = receive(door, message.header.nlmsg_seq, room);
  return done ? Result<>() : fail(done.error());
}

}  // namespace

Result<Interface> Interface::find(const std::string& name) {
  return find_by(UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)), name);
}

Result<Interface> Interface::find_beside(const std::string& name) const {
  return find_by(UniqueFd(::fcntl(door_.get(), F_DUPFD_CLOEXEC, 0)), name);
}

Result<Interface> Interface::find_by(UniqueFd door, const std::string& name) {
  if (!door) return fail(static_cast<std::errc>(errno));
  ifreq about{};
  if (name.size() >= sizeof about.ifr_name) return fail(std::errc::no_such_device);
  std::memcpy(about.ifr_name, name.data(), name.size());
  if (const Result<> found = ask(door.get(), SIOCGIFINDEX, about); !found) return fail(found.error());
  return Interface(std::move(door), about.ifr_ifindex);
}

std::vector<std::string> Interface::names() {
  std::vector<std::string> names;
  if (struct if_nameindex* const all = ::if_nameindex()) {
    for (const struct if_nameindex* each = all; each->if_index != 0; ++each) names.emplace_back(each->if_name);
    ::if_freenameindex(all);
  }
  return names;
}

Result<Interface::State> Interface::state() const {
  LinkMessage question;
  question.header.nlmsg_type = RTM_GETLINK;
  question.link.ifi_index = index_;
  if (const Result<> sent = send(door_.get(), question, NLMSG_LENGTH(sizeof question.link)); !sent) {
    return fail(sent.error());
  }
  alignas(nlmsghdr) std::array<uint8_t, kAnswerBytes> room;
  const Result<size_t> bytes = receive(door_.get(), question.header.nlmsg_seq, room);
  if (!bytes) return fail(bytes.error());
  ifinfomsg link;
  if (*bytes < NLMSG_LENGTH(sizeof link)) return fail(std::errc::bad_message);
  std::memcpy(&link, room.data() + NLMSG_HDRLEN, sizeof link);
  State state;
  state.up = (link.ifi_flags & IFF_UP) != 0;
  state.carrier = state.up && (link.ifi_flags & IFF_RUNNING) != 0;
  state.ethernet = link.ifi_type == ARPHRD_ETHER;
  for (size_t at = NLMSG_SPACE(sizeof link); at + sizeof(rtattr) <= *bytes;) {
    rtattr each;
    std::memcpy(&each, &room[at], sizeof each);
    if (each.rta_len < sizeof each || at + each.rta_len > *bytes) break;
    const uint8_t* const value = &room[at] + sizeof each;
    const size_t size = each.rta_len - sizeof each;
    if (each.rta_type == IFLA_MTU && size == sizeof state.mtu) std::memcpy(&state.mtu, value, sizeof state.mtu);
    if (each.rta_type == IFLA_ADDRESS && size == sizeof state.address) state.address = MacAddress::from_bytes(value);
    at += RTA_ALIGN(each.rta_len);
  }
  return state;
}

Result<> Interface::set_mtu(uint32_t mtu) const {
  LinkMessage wish;
  wish.link.ifi_index = index_;
  wish.attribute = {.rta_len = RTA_LENGTH(sizeof mtu), .rta_type = IFLA_MTU};
  wish.value = mtu;
  return tell(door_.get(), wish, sizeof wish);
}

Result<> Interface::set_up() const {
  const Result<State> state = this->state();
  if (!state) return fail(state.error());
  if (state->up) return {};
  LinkMessage wish;
  wish.link.ifi_index = index_;
  wish.link.ifi_flags = wish.link.ifi_change = IFF_UP;
  return tell(door_.get(), wish, NLMSG_LENGTH(sizeof wish.link));
}

Result<InterfaceEvents> InterfaceEvents::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return fail(static_cast<std::errc>(errno));
  sockaddr_nl here{};
  here.nl_family = AF_NETLINK;
  here.nl_groups = RTMGRP_LINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) {
    return fail(static_cast<std::errc>(errno));
  }
  return InterfaceEvents(std::move(fd));
}

// Words that were lost are an error, and a word, too.
void InterfaceEvents::clear() noexcept {
  uint8_t start[64];
  while (::recv(fd_.get(), start, sizeof start, 0) >= 0 || errno == ENOBUFS || errno == EINTR) continue;
}

}  // namespace usernic
