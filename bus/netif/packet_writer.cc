// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/packet_writer.h"

#include <cerrno>
#include <optional>
#include <span>

namespace usernic {

// As many as the messages and the parts have room for. A frame in more parts than any has is sent short of them by
// nobody: 0 where it is the first.
uint32_t PacketWriter::begin_turn(SkbBatch& frames) noexcept {
  uint32_t count = 0;
  size_t used = 0;
  for (Skb* skb = frames.front(); skb != nullptr && count < kTurn; skb = SkbBatch::next(*skb)) {
    if (parts_.size() - used < kFramePartsMax) break;
    const std::span<iovec> room = std::span(parts_).subspan(used, kFramePartsMax);
    const std::optional<size_t> parts = parts_of(*skb, headers_[count], room);
    if (!parts) break;
    messages_[count].msg_hdr.msg_iov = room.data();
    messages_[count].msg_hdr.msg_iovlen = *parts;
    used += *parts;
    ++count;
  }
  return count;
}

void PacketWriter::refuse(Skb& skb, int error, SkbBatch& refused) noexcept {
  if (error == EINVAL && skb.offload().gso == Gso::kUdp) refuses_uso_.store(true, std::memory_order_relaxed);
  refused_.fetch_add(segments_of(skb.offload(), skb.total_size()), std::memory_order_relaxed);
  refused.push_back(skb);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the socket is non-blocking: a bounded system call
    bool
    PacketWriter::write(SkbBatch& frames, SkbBatch& refused) noexcept {
  const BlockingByDesign allowed;
  bool offered = false;  // the first one, and answered with an error, which may be one of before that waited
  while (!frames.empty()) {
    const uint32_t count = begin_turn(frames);
    const int result = count == 0 ? -1 : ::sendmmsg(socket_.fd(), messages_.data(), count, MSG_DONTWAIT);
    const int error = result >= 0 ? 0 : count == 0 ? EMSGSIZE : errno;
    calls_.fetch_add(1, std::memory_order_relaxed);
    for (int n = 0; n < result; ++n) {
      Skb& skb = *frames.pop_front();
      if (skb.offload().superframe()) superframes_.fetch_add(1, std::memory_order_relaxed);
      SkbPool::free(skb);
    }
    if (error == EAGAIN) return false;
    if (error == EINTR) continue;
    const bool again = error != 0 && count != 0 && !offered;
    if (error != 0 && !again) refuse(*frames.pop_front(), error, refused);
    offered = again;
  }
  return true;
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
