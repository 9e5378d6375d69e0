// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: frames to a packet socket, many by one call of sendmmsg.
//
// The kernel copies them, so a frame is its sender's again when the call returns. How much may be on its way the
// socket's buffer says.
//
// Locks: none, one writer at a time. Errors: counted.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>

#include "bus/netif/packet_socket.h"
#include "bus/netif/vnet_header.h"
#include "usernic/skb.h"

namespace usernic {

class PacketWriter {
 public:
  explicit PacketWriter(PacketSocket& socket) noexcept : socket_(socket) {}
  PacketWriter(const PacketWriter&) = delete;
  PacketWriter& operator=(const PacketWriter&) = delete;

  // Sends and frees them, each with its chain and what is left to do on it, in order, until there is no room for more
  // (false): what is left stays in the batch, and the socket is writable when it is time. What the kernel refuses joins
  // `refused`, for the caller to note and to free. Context: any.
  bool write(SkbBatch& frames, SkbBatch& refused) noexcept USERNIC_NONBLOCKING;

  // Frames that the kernel refused, of a superframe its segments. Context: any.
  uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  // Does it refuse superframes of UDP as such? Kernels before 6.2 do.
  bool refuses_udp_superframes() const noexcept { return refuses_uso_.load(std::memory_order_relaxed); }
  uint64_t superframes() const noexcept { return superframes_.load(std::memory_order_relaxed); }
  uint64_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kTurn = 64;  // frames a call
  uint32_t begin_turn(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  void refuse(Skb& skb, int error, SkbBatch& refused) noexcept USERNIC_NONBLOCKING;

  PacketSocket& socket_;
  std::array<mmsghdr, kTurn> messages_{};
  std::array<VnetHeader, kTurn> headers_;
  std::array<iovec, 4 * kFramePartsMax> parts_;
  Atomic<uint64_t> refused_{0}, superframes_{0}, calls_{0};
  Atomic<bool> refuses_uso_{false};
};

}  // namespace usernic
// Explained best by: bus/netif/packet_socket_test.cc
