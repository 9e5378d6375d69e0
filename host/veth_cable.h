// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the pair of a veth: an interface, and our end of it, alone in a namespace of its own.
//
// Asked by way of our end, so that the interface is known wherever it is, by whatever name. Our end has no address of
// any kind, and its MTU is the largest.
//
// Locks: none, one caller at a time. Context: process; the kernel takes rtnl. Errors: HostError, or the kernel's errno.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/host_error.h"
#include "host/netlink_socket.h"
#include "host/netns.h"
#include "usernic/error.h"

namespace usernic {

class VethCable {
 public:
  // The interface is there, by that name; our end is down. Errors as of Veth::create.
  static HostResult<std::unique_ptr<VethCable>> make(const NetNamespace& netns, const std::string& name);
  ~VethCable();

  const NetNamespace& our_netns() const noexcept { return ours_; }
  int our_ifindex() const noexcept { return ifindex_; }
  // It is up while the interface is to have carrier.
  Result<> set_ours_up(bool up);

  // Where the interface is, and its number there.
  struct Far {
    int ifindex = 0;
    std::optional<int> nsid;  // as our end's namespace calls that one; none: it is in it
  };
  Result<Far> far();  // EBADFD: it is gone
  // "" where nobody may look.
  std::string name_of(const Far& far);
  // As our end's namespace calls that one; -1: not at all. None: the kernel does not say.
  std::optional<int> nsid_of(int netns_fd);

  // Both ends go.
  void cut() noexcept;

 private:
  VethCable(NetNamespace ours, NetlinkSocket there) noexcept : ours_(std::move(ours)), there_(std::move(there)) {}
  HostResult<> keep_quiet();

  const NetNamespace ours_;
  NetlinkSocket there_;  // in it
  int ifindex_ = 0;      // of our end; 0: there is none
};

}  // namespace usernic
// Explained best by: host/veth_test.cc
