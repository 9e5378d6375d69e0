// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/frame_limit.h"

#include <fmt/format.h>

#include "core/frame/tx_offload.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

constexpr DropReason kTooLong("longer than the MTU allows");

// Of a superframe: of its longest segment.
uint32_t frame_bytes(const Skb& skb) noexcept USERNIC_NONBLOCKING {
  const Offload& offload = skb.offload();
  return offload.superframe() ? uint32_t{offload.header_bytes} + offload.gso_size : skb.size();
}

}  // namespace

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    void
    FrameLimit::report(const char* way, uint32_t size, Place where) const noexcept {
  if (size <= most_.load(std::memory_order_relaxed) + kFrameOverhead) return;
  const BlockingByDesign allowed;
  report_contract(
      "frame-too-long",
      fmt::format("a frame of {} octets is {} by a device that takes {}, of an MTU of {}, a header of 14 and a "
                  "tag of 4; it is dropped: look at frame_bytes_max()",
                  size, way, frame_bytes_max(), mtu()),
      where);
}
USERNIC_BLOCKING_BY_DESIGN_END

void FrameLimit::drop(QueueCounters& counters, Skb& skb, Place where) const noexcept {
  counters.drop_too_long(wire_size(skb).frames);
  if (kChecksOn) report("sent", frame_bytes(skb), where);
  taps_.dropped(skb, FrameWay::kOut, kTooLong);
  SkbPool::free(skb, where);
}

bool FrameLimit::receive(QueueCounters& counters, SkbBatch& frames, From from, Place where) const noexcept {
  const uint32_t longest = frame_bytes_max();
  uint64_t bytes = 0;
  uint32_t packets = 0;
  bool too_long = false;
  bool offloaded = false;
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    if (skb->offload().any()) [[unlikely]] {
      const WireSize wire = wire_size(*skb);
      packets += wire.frames;
      bytes += wire.bytes;
      offloaded = true;
    } else {
      ++packets;
      bytes += skb->size();
    }
    too_long |= frame_bytes(*skb) > longest;
  }
  if (too_long) [[unlikely]] {
    SkbBatch all(std::move(frames));
    uint32_t dropped = 0;
    while (Skb* const skb = all.pop_front()) {
      if (frame_bytes(*skb) <= longest) {
        frames.push_back(*skb, where);
        continue;
      }
      const WireSize wire = wire_size(*skb);
      dropped += wire.frames;
      bytes -= wire.bytes;
      if (kChecksOn && from == From::kCard) report("received", frame_bytes(*skb), where);
      taps_.dropped(*skb, FrameWay::kIn, kTooLong);
      SkbPool::free(*skb, where);
    }
    packets -= dropped;
    counters.drop_too_long(dropped);
  }
  counters.add(packets, bytes);
  return offloaded;
}

}  // namespace usernic
