// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/veth_queue.h"

#include "usernic/frame_tap.h"

namespace usernic {

bool VethQueue::read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) {
  uint32_t taken = 0;
  const PacketReader::End end = reader_.read(pools.frames, pools.superframes, frame_bytes_max, kBatch, frames, taken);
  return end != PacketReader::End::kNoBuffers || taken != 0;
}

uint64_t VethQueue::write(SkbBatch& frames) noexcept {
  SpinGuard guard(lock_);
  SkbBatch untaken;
  (void)writer_.write(frames, untaken);
  untaken.splice(frames);
  uint64_t dropped = 0;
  for (Skb* skb = untaken.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    if (of_ != nullptr) note_drop(*of_, *skb, FrameWay::kIn, "the kernel does not take it");
    dropped += segments_of(skb->offload(), skb->total_size());
  }
  SkbPool::free(untaken);
  return dropped;
}

uint64_t VethQueue::overrun() const noexcept {
  const uint64_t more = socket_.take_drops();
  return overrun_.fetch_add(more) + more;
}

}  // namespace usernic
