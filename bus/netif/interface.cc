// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/interface.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace usernic {
namespace {

Result<> ask(int door, unsigned long request, ifreq& about) noexcept {
  return ::ioctl(door, request, &about) == 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

// The interface of that number by the name that it has now.
Result<ifreq> named(int door, int index) noexcept {
  ifreq about{};
  about.ifr_ifindex = index;
  if (const Result<> done = ask(door, SIOCGIFNAME, about); !done) return fail(done.error());
  return about;
}

}  // namespace

Result<Interface> Interface::find(const std::string& name) {
  UniqueFd door(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
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
  Result<ifreq> about = named(door_.get(), index_);
  if (!about) return fail(about.error());
  State state;
  if (const Result<> done = ask(door_.get(), SIOCGIFFLAGS, *about); !done) return fail(done.error());
  state.up = (about->ifr_flags & IFF_UP) != 0;
  state.carrier = state.up && (about->ifr_flags & IFF_RUNNING) != 0;
  if (const Result<> done = ask(door_.get(), SIOCGIFMTU, *about); !done) return fail(done.error());
  state.mtu = static_cast<uint32_t>(about->ifr_mtu);
  if (const Result<> done = ask(door_.get(), SIOCGIFHWADDR, *about); !done) return fail(done.error());
  state.ethernet = about->ifr_hwaddr.sa_family == ARPHRD_ETHER;
  state.address = MacAddress::from_bytes(about->ifr_hwaddr.sa_data);
  return state;
}

Result<> Interface::set_mtu(uint32_t mtu) const {
  Result<ifreq> about = named(door_.get(), index_);
  if (!about) return fail(about.error());
  about->ifr_mtu = static_cast<int>(mtu);
  return ask(door_.get(), SIOCSIFMTU, *about);
}

Result<> Interface::set_up() const {
  Result<ifreq> about = named(door_.get(), index_);
  if (!about) return fail(about.error());
  if (const Result<> done = ask(door_.get(), SIOCGIFFLAGS, *about); !done) return done;
  if ((about->ifr_flags & IFF_UP) != 0) return {};
  about->ifr_flags = static_cast<short>(about->ifr_flags | IFF_UP);
  return ask(door_.get(), SIOCSIFFLAGS, *about);
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
