// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/packet_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "usernic/context.h"

namespace usernic {
namespace {

constexpr int kIgnoreOutgoing = 23;  // PACKET_IGNORE_OUTGOING
constexpr uint32_t kAll = 0xffff'ffff;

Result<> outcome(int result) noexcept {
  return result == 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

template <class T>
Result<> set(int fd, int level, int option, const T& value) noexcept {
  return outcome(::setsockopt(fd, level, option, &value, sizeof value));
}

// By right, or as far as the machine's limit allows.
void set_buffer(int fd, int forced, int plain, int bytes) noexcept {
  if (!set(fd, SOL_SOCKET, forced, bytes)) (void)set(fd, SOL_SOCKET, plain, bytes);
}

int membership_type(Membership what) noexcept {
  switch (what) {
    case Membership::kMulticast:
      return PACKET_MR_MULTICAST;
    case Membership::kPromisc:
      return PACKET_MR_PROMISC;
    case Membership::kAllmulti:
      return PACKET_MR_ALLMULTI;
    case Membership::kUnicast:
      return PACKET_MR_UNICAST;
  }
  return PACKET_MR_PROMISC;
}

sock_filter load(uint16_t size, uint32_t offset) noexcept {
  return {static_cast<uint16_t>(BPF_LD | BPF_ABS | size), 0, 0, offset};
}
sock_filter give(uint32_t octets) noexcept {
  return {BPF_RET | BPF_K, 0, 0, octets};
}
// Skips so many where it is not so.
sock_filter unless(uint16_t test, uint32_t value, uint8_t skip) noexcept {
  return {static_cast<uint16_t>(BPF_JMP | test | BPF_K), 0, skip, value};
}

Result<> attach(int fd, std::span<sock_filter> program) noexcept {
  const sock_fprog gate{static_cast<uint16_t>(program.size()), program.data()};
  return set(fd, SOL_SOCKET, SO_ATTACH_FILTER, gate);
}

}  // namespace

Result<PacketSocket> PacketSocket::open(uint32_t buffer_bytes) {
  // Of no protocol: it is no receiver until it is bound.
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(static_cast<std::errc>(errno));
  const int on = 1;
  for (const int option : {PACKET_VNET_HDR, PACKET_AUXDATA, kIgnoreOutgoing}) {
    if (const Result<> done = set(fd.get(), SOL_PACKET, option, on); !done) return fail(done.error());
  }
  set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, static_cast<int>(buffer_bytes));
  set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, static_cast<int>(buffer_bytes));
  PacketSocket socket(std::move(fd));
  if (const Result<> closed = socket.pass_nothing(); !closed) return fail(closed.error());
  return socket;
}

Result<> PacketSocket::bind(int ifindex) noexcept {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ALL);
  to.sll_ifindex = ifindex;
  const Result<> bound = outcome(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to));
  int of_the_last_one = 0;  // that it was down, or went: nobody's now
  socklen_t bytes = sizeof of_the_last_one;
  (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &of_the_last_one, &bytes);
  return bound;
}

Result<> PacketSocket::set_membership(int option, int ifindex, Membership what, const MacAddress& address) noexcept {
  packet_mreq request{};
  request.mr_ifindex = ifindex;
  request.mr_type = static_cast<uint16_t>(membership_type(what));
  request.mr_alen = static_cast<uint16_t>(address.octets.size());
  std::memcpy(request.mr_address, address.octets.data(), address.octets.size());
  return set(fd_.get(), SOL_PACKET, option, request);
}

Result<> PacketSocket::join(int ifindex, Membership what, const MacAddress& address) noexcept {
  return set_membership(PACKET_ADD_MEMBERSHIP, ifindex, what, address);
}

Result<> PacketSocket::leave(int ifindex, Membership what, const MacAddress& address) noexcept {
  return set_membership(PACKET_DROP_MEMBERSHIP, ifindex, what, address);
}

Result<> PacketSocket::pass_nothing() noexcept {
  sock_filter program[] = {give(0)};
  return attach(fd_.get(), program);
}

Result<> PacketSocket::pass_everything() noexcept {
  sock_filter program[] = {give(kAll)};
  return attach(fd_.get(), program);
}

Result<> PacketSocket::pass(std::span<const MacAddress> unicasts) {
  if (unicasts.size() > kGateMax) return pass_everything();
  std::vector<sock_filter> program{load(BPF_B, 0), unless(BPF_JSET, 1, 1), give(kAll)};
  for (const MacAddress& address : unicasts) {
    const uint64_t value = address.to_u64();
    program.insert(program.end(), {load(BPF_W, 0), unless(BPF_JEQ, static_cast<uint32_t>(value >> 16), 3),
                                   load(BPF_H, 4), unless(BPF_JEQ, value & 0xffff, 1), give(kAll)});
  }
  program.push_back(give(0));
  return attach(fd_.get(), program);
}

uint64_t PacketSocket::drain() noexcept {
  uint8_t start[64];  // what the kernel cannot describe is gone with an error of its own
  uint64_t count = 0;
  while (::recv(fd_.get(), start, sizeof start, MSG_DONTWAIT) >= 0 || errno == EINVAL) ++count;
  return count;
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the kernel takes the queue's spinlock
    uint64_t
    PacketSocket::take_drops() const noexcept {
  const BlockingByDesign allowed;
  tpacket_stats counted{};
  socklen_t bytes = sizeof counted;
  return ::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &counted, &bytes) == 0 ? counted.tp_drops : 0;
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
