// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/veth.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "bus/netif/packet_writer.h"
#include "host/interface_kind.h"
#include "host/interface_offloads.h"
#include "host/veth_queue.h"
#include "usernic/refusal.h"

namespace usernic {
namespace {

constexpr uint32_t kBufferBytes = 4 << 20;
constexpr int kLoopback = 1;  // in every namespace

HostError in_words(const std::string& what, std::errc error) {
  return {error, fmt::format("{}: {}", what, refusal(error))};
}

// By which the interfaces of a namespace can be asked.
HostResult<UniqueFd> open_door(const NetNamespace& netns) {
  UniqueFd door;
  int error = 0;
  const HostResult<> ran = netns.run([&] {
    door.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    error = errno;
  });
  if (!ran) return std::unexpected(ran.error());
  if (!door) return std::unexpected(in_words("cannot open a socket", static_cast<std::errc>(error)));
  return door;
}

HostResult<PacketSocket> open_packet_socket(const NetNamespace& netns) {
  Result<PacketSocket> socket = fail(std::errc::io_error);
  const HostResult<> ran = netns.run([&] { socket = PacketSocket::open(kBufferBytes); });
  if (!ran) return std::unexpected(ran.error());
  if (!socket) return std::unexpected(in_words("cannot open a packet socket", socket.error()));
  return *std::move(socket);
}

}  // namespace

HostResult<std::unique_ptr<Veth>> Veth::create(const NetNamespace& netns, const std::string& name) {
  if (const std::string wrong = wrong_interface_name(name); !wrong.empty()) return host_fail(EINVAL, wrong);
  auto door = open_door(netns);
  if (!door) return std::unexpected(door.error());
  auto cable = VethCable::make(netns, name);
  if (!cable) return std::unexpected(cable.error());
  auto socket = open_packet_socket((*cable)->our_netns());
  if (!socket) return std::unexpected(socket.error());
  std::unique_ptr<Veth> veth(new Veth(name, *std::move(cable), *std::move(socket), *std::move(door)));
  if (const HostResult<> started = veth->start(); !started) {
    return host_fail(started.error().error, fmt::format("interface \"{}\": {}", name, started.error().sentence));
  }
  return veth;
}

// The frames of our end come to the socket.
HostResult<> Veth::start() {
  udp_superframes_ = takes_udp_superframes();
  MutexGuard guard(lock_);
  if (const Result<> bound = socket_.bind(cable_->our_ifindex()); !bound) {
    return std::unexpected(in_words("cannot bind a packet socket", bound.error()));
  }
  if (const Result<> open = socket_.pass_everything(); !open) {
    return std::unexpected(in_words("cannot open a packet socket", open.error()));
  }
  (void)set_interface_offloads(door_.get(), name_, {});
  return {};
}

// Kernels before 6.2 do not. Nobody hears what is sent to the loopback of our end's namespace.
bool Veth::takes_udp_superframes() {
  if (!socket_.bind(kLoopback)) return false;
  SkbPool pool(1, 200);
  SkbBatch one;
  Skb& skb = *pool.alloc();
  std::fill_n(skb.put(142), 142, uint8_t{0});
  skb.data()[12] = 0x08;  // IPv4
  skb.data()[14] = 0x45;  // without options
  skb.data()[23] = IPPROTO_UDP;
  skb.set_offload({.sum = FrameSum::kNeeded,
                   .gso = Gso::kUdp,
                   .sum_offset = 6,
                   .sum_start = 34,
                   .gso_size = 50,
                   .header_bytes = 42});
  one.push_back(skb);
  PacketWriter writer(socket_);
  SkbBatch refused;
  const bool written = writer.write(one, refused);
  SkbPool::free(one);
  SkbPool::free(refused);
  return written && !writer.refuses_udp_superframes();
}

Result<> Veth::set_carrier(bool on) noexcept {
  try {
    MutexGuard guard(lock_);
    return cable_->set_ours_up(on);
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

Features Veth::take(Features kinds) noexcept {
  try {
    if (!udp_superframes_) kinds = kinds.without({Feature::kUso});
    MutexGuard guard(lock_);
    return reach() && set_interface_offloads(door_.get(), last_name_, kinds) ? kinds : Features();
  } catch (const std::bad_alloc&) {
    return {};
  }
}

Features Veth::take_superframes(Features kinds) noexcept {
  constexpr Features kSums{Feature::kTxSum};
  return take(kinds | kSums).without(kSums);
}

void Veth::take_nothing_offloaded() noexcept {
  (void)take({});
}

// Is it the interface that has its name where the door leads to? It may be gone, or elsewhere, and that another's.
bool Veth::reach() {
  const Result<VethCable::Far> far = cable_->far();
  if (!far) return false;
  note_name(*far);
  const UniqueFd there(::ioctl(door_.get(), SIOCGSKNS));
  if (!there || cable_->nsid_of(there.get()) != far->nsid) return false;
  ifreq about{};
  std::memcpy(about.ifr_name, last_name_.data(), std::min(last_name_.size(), sizeof about.ifr_name - 1));
  return ::ioctl(door_.get(), SIOCGIFINDEX, &about) == 0 && about.ifr_ifindex == far->ifindex;
}

void Veth::note_name(const VethCable::Far& far) const {
  if (std::string now = cable_->name_of(far); !now.empty()) last_name_ = std::move(now);
}

Result<std::string> Veth::name_now() const {
  MutexGuard guard(lock_);
  const Result<VethCable::Far> far = cable_->far();
  if (!far) return fail(far.error());
  note_name(*far);
  return last_name_;
}

HostResult<NetNamespace> Veth::netns_now() const {
  MutexGuard guard(lock_);
  const Result<VethCable::Far> far = cable_->far();
  if (!far) return host_fail(far.error(), "the interface is gone");
  if (!far->nsid) return std::unexpected(HostError{std::errc::no_such_file_or_directory, "it is with its other end"});
  for (const std::string& path : known_namespaces()) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd || cable_->nsid_of(fd.get()) != far->nsid) continue;
    HostResult<NetNamespace> there = NetNamespace::adopt(std::move(fd));
    if (!there) continue;
    auto door = open_door(*there);
    if (!door) return std::unexpected(door.error());
    door_ = *std::move(door);
    note_name(*far);
    return there;
  }
  return host_fail(std::errc::no_such_file_or_directory,
                   "it is in a network namespace that has no name and is not usernic's (ip netns attach NAME PID "
                   "names one)");
}

void Veth::close() noexcept {
  MutexGuard guard(lock_);
  cable_->cut();
}

std::unique_ptr<EndQueue> Veth::open_queue(size_t, Kick&, NetDevice* of) {
  return std::make_unique<VethQueue>(socket_, of);
}

}  // namespace usernic
