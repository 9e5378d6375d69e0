// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/packet_reader.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace usernic {
namespace {

constexpr uint32_t kAddressBytes = 12;  // both of a frame, before its type
constexpr uint32_t kTagBytes = 4;
constexpr uint32_t kHeaderBytes = 14;

struct VlanTag {
  uint16_t tpid, tci;
};

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // libc's step to the next message, which only reads
    std::optional<VlanTag>
    tag_of(msghdr& message) noexcept USERNIC_NONBLOCKING {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_PACKET || each->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata said;
    if (each->cmsg_len < CMSG_LEN(sizeof said)) continue;
    std::memcpy(&said, CMSG_DATA(each), sizeof said);
    if ((said.tp_status & TP_STATUS_VLAN_VALID) == 0) return {};
    const bool names = (said.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    return VlanTag{names ? said.tp_vlan_tpid : uint16_t{ETH_P_8021Q}, said.tp_vlan_tci};
  }
  return {};
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace

bool put_vlan_tag(Skb& skb, uint16_t tpid, uint16_t tci) noexcept {
  if (skb.size() < kHeaderBytes || skb.headroom() < kTagBytes) return false;
  uint8_t* const at = skb.push(kTagBytes);
  std::memmove(at, at + kTagBytes, kAddressBytes);
  const uint8_t tag[kTagBytes] = {static_cast<uint8_t>(tpid >> 8), static_cast<uint8_t>(tpid),
                                  static_cast<uint8_t>(tci >> 8), static_cast<uint8_t>(tci)};
  std::memcpy(at + kAddressBytes, tag, sizeof tag);
  return true;
}

// Prepares as many as there are buffers for.
uint32_t PacketReader::begin_turn(SkbPool& frames, SkbPool& superframes, uint32_t frame_bytes_max,
                                  uint32_t most) noexcept {
  const uint32_t wanted = std::min(most, kTurn);
  buffers_.fill_frames(frames, wanted);
  const uint32_t count = buffers_.fill_superframes(superframes, wanted);
  for (uint32_t n = 0; n < count; ++n) {
    Read& each = reads_[n];
    buffers_.lend(each, frame_bytes_max);
    messages_[n] = {};
    messages_[n].msg_hdr.msg_iov = each.parts.data();
    messages_[n].msg_hdr.msg_iovlen = each.parts.size();
    messages_[n].msg_hdr.msg_control = each.control.data();
    messages_[n].msg_hdr.msg_controllen = each.control.size();
  }
  return count;
}

// What came joins `to`, and the buffers of what did not are at hand again.
void PacketReader::end_turn(uint32_t prepared, uint32_t came, uint32_t frame_bytes_max, SkbBatch& to) noexcept {
  for (uint32_t n = 0; n < came; ++n) take(reads_[n], messages_[n], frame_bytes_max, to);
  for (uint32_t n = prepared; n-- > 0;) buffers_.take_back(reads_[n]);
}

void PacketReader::take(Read& read, const mmsghdr& message, uint32_t frame_bytes_max, SkbBatch& to) noexcept {
  const auto count = [](Atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); };
  msghdr said = message.msg_hdr;
  if (message.msg_len < sizeof(VnetHeader) + kHeaderBytes) return count(unknown_);
  const auto bytes = static_cast<uint32_t>(message.msg_len - sizeof(VnetHeader));
  const std::optional<Offload> offload = read.offload(bytes);
  if (!offload) return count(unknown_);
  const std::optional<VlanTag> tag = tag_of(said);
  const uint32_t on_the_wire = frame_bytes(bytes, *offload) + (tag ? kTagBytes : 0);
  if (on_the_wire > frame_bytes_max || (said.msg_flags & MSG_TRUNC) != 0) return count(oversized_);
  Skb& skb = read.take(bytes, *offload);
  if (tag) (void)put_vlan_tag(skb, tag->tpid, tag->tci);  // kSkbHeadroom is before it
  if (offload->superframe()) count(superframes_);
  to.push_back(skb);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the socket is non-blocking: a bounded system call
    PacketReader::End
    PacketReader::read(SkbPool& frames, SkbPool& superframes, uint32_t frame_bytes_max, uint32_t most, SkbBatch& to,
                       uint32_t& taken) noexcept {
  const BlockingByDesign allowed;
  while (most > 0) {
    const uint32_t prepared = begin_turn(frames, superframes, frame_bytes_max, most);
    if (prepared == 0) return End::kNoBuffers;
    const int result = ::recvmmsg(socket_.fd(), messages_.data(), prepared, MSG_DONTWAIT, nullptr);
    const int error = result < 0 ? errno : 0;
    const uint32_t came = result < 0 ? 0 : static_cast<uint32_t>(result);
    calls_.fetch_add(1, std::memory_order_relaxed);
    end_turn(prepared, came, frame_bytes_max, to);
    taken += came;
    most -= came;
    if (error == EAGAIN) return End::kNoneWaits;
    if (error == EINVAL) {  // a frame that the kernel has no header for, and that is gone
      unknown_.fetch_add(1, std::memory_order_relaxed);
      taken += 1;
      most -= 1;
    } else if (error != 0 && error != EINTR) {
      return End::kDown;
    }
  }
  return End::kEnough;
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
