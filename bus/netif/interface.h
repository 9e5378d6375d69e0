// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: an interface that the machine has, asked and told about [rtnetlink(7)], and word of changes of any.
//
// It is known by its number: a rename changes nothing. An interface that was deleted or moved to another namespace is
// gone; one that comes back with its number is there again. Works in the namespace of the thread that found it.
//
// Locks: none. Context: process; the kernel takes rtnl.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "usernic/error.h"
#include "usernic/mac_address.h"
#include "usernic/unique_fd.h"

namespace usernic {

class Interface {
 public:
  struct State {
    bool up = false;
    bool carrier = false;  // it is up, and what it sends gets out
    bool ethernet = false;
    uint32_t mtu = 0;
    MacAddress address;
  };

  // ENODEV: there is none of that name.
  static Result<Interface> find(const std::string& name);
  // In this one's namespace, whether it is still there itself or not.
  Result<Interface> find_beside(const std::string& name) const;
  // All that there are in this thread's namespace.
  static std::vector<std::string> names();

  // ENODEV: it is gone.
  Result<State> state() const;
  // EPERM: that needs CAP_NET_ADMIN. EINVAL: its driver takes no such MTU.
  Result<> set_mtu(uint32_t mtu) const;
  Result<> set_up() const;

  int index() const noexcept { return index_; }

 private:
  static Result<Interface> find_by(UniqueFd door, const std::string& name);
  Interface(UniqueFd door, int index) noexcept : door_(std::move(door)), index_(index) {}
  UniqueFd door_;
  int index_;
};

// Readable when an interface of the namespace changed, came or went.
class InterfaceEvents {
 public:
  // Of this thread's namespace.
  static Result<InterfaceEvents> open();
  int fd() const noexcept { return fd_.get(); }
  // To be called before a look.
  void clear() noexcept;

 private:
  explicit InterfaceEvents(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace usernic
// Explained best by: bus/netif/packet_socket_test.cc
