// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: what stands before a frame on a TAP or a packet socket: its checksum's state, and how it is cut, as a
// virtio_net_hdr [virtio 1.2, 5.1.6].
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "usernic/annotations.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

// In the machine's order, as both have it. The kernel's own header is none for C++.
struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
};
static_assert(sizeof(VnetHeader) == 10);

// The largest frame that stands behind one: with its Ethernet header and two tags.
inline constexpr uint32_t kSuperframeBytes = 65'536 + 14 + 2 * 4;

namespace vnet {
inline constexpr uint8_t kNeedsSum = 1, kDataValid = 2;                             // flags
inline constexpr uint8_t kNone = 0, kTcp4 = 1, kTcp6 = 4, kUdpL4 = 5, kEcn = 0x80;  // gso_type
}  // namespace vnet

// What stands before a frame that the kernel receives.
VnetHeader vnet_header(const Skb& skb) noexcept USERNIC_NONBLOCKING;

// The same with the frame and its chain, one behind the other, for a writev: how many of `room`, which has two at
// least, they take. Nothing: the chain has more parts than that.
inline constexpr size_t kFramePartsMax = 74;
std::optional<size_t> parts_of(const Skb& skb, VnetHeader& header, std::span<iovec> room) noexcept USERNIC_NONBLOCKING;

// What a frame that the kernel sent has left to do, of which `start` has the headers. Nothing: nobody here knows such a
// one.
std::optional<Offload> offload_of(const VnetHeader& header, std::span<const uint8_t> start) noexcept
    USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: bus/netif/vnet_header_test.cc
