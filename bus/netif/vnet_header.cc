// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/vnet_header.h"

#include <limits>

namespace usernic {
namespace {

constexpr uint32_t kUdpHeader = 8, kTcpHeader = 20;

uint8_t gso_type(const Offload& offload) noexcept USERNIC_NONBLOCKING {
  const uint8_t ecn = offload.ecn ? vnet::kEcn : 0;
  switch (offload.gso) {
    case Gso::kTcp4:
      return vnet::kTcp4 | ecn;
    case Gso::kTcp6:
      return vnet::kTcp6 | ecn;
    case Gso::kUdp:
      return vnet::kUdpL4;
    case Gso::kNone:
      break;
  }
  return vnet::kNone;
}

std::optional<Gso> gso_of(uint8_t type) noexcept USERNIC_NONBLOCKING {
  switch (type & ~vnet::kEcn) {
    case vnet::kNone:
      return Gso::kNone;
    case vnet::kTcp4:
      return Gso::kTcp4;
    case vnet::kTcp6:
      return Gso::kTcp6;
    case vnet::kUdpL4:
      return Gso::kUdp;
    default:
      return {};
  }
}

}  // namespace

VnetHeader vnet_header(const Skb& skb) noexcept {
  const Offload& offload = skb.offload();
  VnetHeader header;
  if (offload.sum == FrameSum::kVerified) header.flags = vnet::kDataValid;
  if (offload.sum == FrameSum::kNeeded) {
    header.flags = vnet::kNeedsSum;
    header.csum_start = offload.sum_start;
    header.csum_offset = offload.sum_offset;
  }
  if (offload.superframe()) {
    header.gso_type = gso_type(offload);
    header.gso_size = offload.gso_size;
    header.hdr_len = offload.header_bytes;
  }
  return header;
}

std::optional<size_t> parts_of(const Skb& skb, VnetHeader& header, std::span<iovec> room) noexcept {
  header = vnet_header(skb);
  size_t count = 0;
  room[count++] = {&header, sizeof header};
  room[count++] = {const_cast<uint8_t*>(skb.data()), skb.size()};
  for (const Skb* part = skb.chain(); part != nullptr; part = Skb::chain_next(*part)) {
    if (count == room.size()) return std::nullopt;
    room[count++] = {const_cast<uint8_t*>(part->data()), part->size()};
  }
  return count;
}

std::optional<Offload> offload_of(const VnetHeader& header, std::span<const uint8_t> start) noexcept {
  Offload offload;
  const std::optional<Gso> gso = gso_of(header.gso_type);
  if (!gso) return {};
  if ((header.flags & vnet::kDataValid) != 0) offload.sum = FrameSum::kVerified;
  if ((header.flags & vnet::kNeedsSum) != 0) {
    if (header.csum_offset > std::numeric_limits<uint8_t>::max()) return {};
    offload.sum = FrameSum::kNeeded;
    offload.sum_start = header.csum_start;
    offload.sum_offset = static_cast<uint8_t>(header.csum_offset);
  }
  if (*gso == Gso::kNone) return offload;
  // The kernel's hdr_len is what lies in one piece there; where the payload begins the packet's own header says.
  if (offload.sum != FrameSum::kNeeded || header.gso_size == 0) return {};
  uint32_t packet_header = kUdpHeader;
  if (*gso != Gso::kUdp) {
    if (uint32_t{offload.sum_start} + kTcpHeader > start.size()) return {};
    packet_header = (start[offload.sum_start + 12u] >> 4) * 4u;
  }
  const uint32_t header_bytes = offload.sum_start + packet_header;
  if (header_bytes > start.size()) return {};
  offload.gso = *gso;
  offload.ecn = (header.gso_type & vnet::kEcn) != 0;
  offload.gso_size = header.gso_size;
  offload.header_bytes = static_cast<uint16_t>(header_bytes);
  return offload;
}

}  // namespace usernic
