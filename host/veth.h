// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a veth, the kernel's end of a cable whose other end is a packet socket: for machines without /dev/net/tun.
//
//   nic0 (in the host's namespace) ---veth--- our end, in a namespace of its own with nothing else in it (veth_cable.h)
//                                              | packet socket (bus/netif/packet_socket.h)
//
// The other end hears and says nothing by itself. It is up while the interface is to have carrier, and the interface's
// MTU alone decides. What the kernel may leave to us (sums, superframes) is switched on the interface
// (interface_offloads.h). The interface lives as long as this object, or the process. Whoever may can rename it, move
// it to another namespace or delete it, which deletes both ends.
//
// It takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN (to make a network namespace and to enter one) in the user
// namespace of the two network namespaces; a user namespace of one's own gives all three.
//
// Locks: one of its own, of a leaf, held over calls of the kernel, which takes rtnl. Context: process. Errors:
// HostError.
#pragma once

#include <memory>
#include <string>

#include "bus/netif/packet_socket.h"
#include "host/host_error.h"
#include "host/kernel_end.h"
#include "host/netns.h"
#include "host/veth_cable.h"
#include "usernic/lock.h"
#include "usernic/unique_fd.h"

namespace usernic {

class Veth final : public KernelEnd {
 public:
  // EBUSY: the name is in use there. EINVAL: not a name of an interface. EPERM: without those rights.
  static HostResult<std::unique_ptr<Veth>> create(const NetNamespace& netns, const std::string& name);

  // As of any [kernel_end.h].
  Features take_superframes(Features kinds) noexcept override;
  void take_nothing_offloaded() noexcept override;
  Result<> set_carrier(bool on) noexcept override;
  // Of one that was moved to where nobody may look: its last name.
  Result<std::string> name_now() const override;
  // ENOENT: it was moved to a namespace that has no name and that this process does not hold.
  HostResult<NetNamespace> netns_now() const override;
  void close() noexcept override;
  size_t queue_count() const noexcept override { return 1; }
  std::unique_ptr<EndQueue> open_queue(size_t index, Kick& wanted, NetDevice* of) override;
  bool persistent() const noexcept override { return false; }
  const std::string& name() const noexcept override { return name_; }
  std::string_view kind() const noexcept override { return "veth"; }

 private:
  static constexpr LockClass kClass{"host_veth"};
  Veth(std::string name, std::unique_ptr<VethCable> cable, PacketSocket socket, UniqueFd door) noexcept
      : name_(std::move(name)),
        socket_(std::move(socket)),
        cable_(std::move(cable)),
        door_(std::move(door)),
        last_name_(name_) {}
  HostResult<> start();
  bool takes_udp_superframes();
  Features take(Features kinds) noexcept;
  void note_name(const VethCable::Far& far) const USERNIC_REQUIRES(lock_);
  bool reach() USERNIC_REQUIRES(lock_);

  const std::string name_;
  PacketSocket socket_;
  bool udp_superframes_ = false;
  mutable Mutex lock_{kClass};
  const std::unique_ptr<VethCable> cable_;           // used under the lock
  mutable UniqueFd door_ USERNIC_GUARDED_BY(lock_);  // in the namespace of the interface
  mutable std::string last_name_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic
// Explained best by: host/veth_test.cc
