// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: frames from a packet socket into buffers, many by one call.
//
//   read: recvmmsg into a frame's buffer each, and on into a superframe's where it is longer
//
// A VLAN tag that the interface took out of the frame is put back. Of what the kernel says of a frame only what can be
// true is believed (vnet_header.h). recvmmsg and not a ring in shared memory: a ring's slots are as long as the longest
// superframe, and what is in one is copied once more.
//
// Locks: none, one reader at a time. Errors: counted.
#pragma once

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "bus/netif/landing.h"
#include "bus/netif/packet_socket.h"
#include "usernic/skb.h"

namespace usernic {

// Puts the tag that stood before a frame's type there again. False: there is no room for it before the frame.
bool put_vlan_tag(Skb& skb, uint16_t tpid, uint16_t tci) noexcept USERNIC_NONBLOCKING;

class PacketReader {
 public:
  static constexpr uint32_t kTurn = 32;  // frames a call

  explicit PacketReader(PacketSocket& socket) noexcept : socket_(socket) {}
  PacketReader(const PacketReader&) = delete;
  PacketReader& operator=(const PacketReader&) = delete;

  enum class End : uint8_t {
    kEnough,     // there may be more
    kNoneWaits,  // nothing more for now
    kNoBuffers,  // somebody has them all
    kDown,       // the interface is down, or gone
  };
  // Takes up to `most` frames of at most `frame_bytes_max` octets, a superframe's headers and one segment counted and a
  // tag that is put back, into buffers of `frames`, and superframes into those of `superframes`, which are as long as
  // kSuperframeBytes. `taken` grows by how many came, also of those that nobody can have. Context: any.
  End read(SkbPool& frames, SkbPool& superframes, uint32_t frame_bytes_max, uint32_t most, SkbBatch& to,
           uint32_t& taken) noexcept USERNIC_NONBLOCKING;
  // Gives back the buffers that it keeps at hand. Requires: nobody reads.
  void free_spare() noexcept { buffers_.free(); }

  // Frames that were longer, and that nobody knows. Context: any.
  uint64_t oversized() const noexcept { return oversized_.load(std::memory_order_relaxed); }
  uint64_t unknown() const noexcept { return unknown_.load(std::memory_order_relaxed); }
  uint64_t superframes() const noexcept { return superframes_.load(std::memory_order_relaxed); }
  uint64_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }

 private:
  struct Read : Landing {
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
  };

  uint32_t begin_turn(SkbPool& frames, SkbPool& superframes, uint32_t frame_bytes_max, uint32_t most) noexcept
      USERNIC_NONBLOCKING;
  void end_turn(uint32_t prepared, uint32_t came, uint32_t frame_bytes_max, SkbBatch& to) noexcept USERNIC_NONBLOCKING;
  void take(Read& read, const mmsghdr& message, uint32_t frame_bytes_max, SkbBatch& to) noexcept USERNIC_NONBLOCKING;

  PacketSocket& socket_;
  LandingBuffers buffers_;
  std::array<Read, kTurn> reads_;
  std::array<mmsghdr, kTurn> messages_;
  Atomic<uint64_t> oversized_{0}, unknown_{0}, superframes_{0}, calls_{0};
};

}  // namespace usernic
// Explained best by: bus/netif/packet_socket_test.cc
