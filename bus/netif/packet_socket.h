// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: a packet socket: whole frames of one interface, both ways [packet(7)].
//
// Each frame stands behind a header that says what is left to do on it (vnet_header.h). What the interface itself sends
// is not received. The socket belongs to the namespace of the thread that opened it, and outlives the interface: it may
// be bound again, to another one.
//
// Frames pass a gate in the kernel, so that those that nobody here wants are not copied. It is coarser than a filter:
// groups always pass.
//
// Locks: none. Receiving, sending and the rest may go on at once from different threads, each by one thread at a time.
// None of it sleeps but for rtnl, which binding and memberships take. Context, where not said: process.
#pragma once

#include <cstdint>
#include <span>

#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"
#include "usernic/unique_fd.h"

namespace usernic {

// What an interface is asked to receive for a socket [PACKET_MR_*].
enum class Membership : uint8_t { kMulticast, kPromisc, kAllmulti, kUnicast };

class PacketSocket {
 public:
  // EPERM: that needs CAP_NET_RAW. It receives nothing yet. `buffer_bytes`: how much may wait each way, in the kernel's
  // way of counting; less where the machine's limit is lower.
  static Result<PacketSocket> open(uint32_t buffer_bytes);

  // Of the interface of that number from here on; memberships are not taken along. ENODEV: there is none.
  Result<> bind(int ifindex) noexcept;

  // As often as it was joined a membership is to be left; it ends with the interface.
  Result<> join(int ifindex, Membership what, const MacAddress& address = {}) noexcept;
  Result<> leave(int ifindex, Membership what, const MacAddress& address = {}) noexcept;

  // The gate: nothing passes, as after `open` / groups and what is for these addresses; for more than kGateMax of them,
  // everything / everything. What waits already stays.
  static constexpr size_t kGateMax = 64;
  Result<> pass_nothing() noexcept;
  Result<> pass(std::span<const MacAddress> unicasts);
  Result<> pass_everything() noexcept;

  // Throws away what waits: how many frames.
  uint64_t drain() noexcept;

  // Frames that found no room since it was asked last. Context: any.
  uint64_t take_drops() const noexcept USERNIC_NONBLOCKING;

  int fd() const noexcept { return fd_.get(); }

 private:
  explicit PacketSocket(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  Result<> set_membership(int option, int ifindex, Membership what, const MacAddress& address) noexcept;
  UniqueFd fd_;
};

}  // namespace usernic
// Explained best by: bus/netif/packet_socket_test.cc
