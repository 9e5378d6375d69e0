// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames on their way to the driver.
#include <optional>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "core/device/tx_below.h"
#include "core/frame/given_frame.h"
#include "core/frame/tx_offload.h"
#include "core/frame/xmit_check.h"
#include "core/lock/level_guard.h"
#include "usernic/contract_report.h"
#include "usernic/net_device.h"

namespace usernic {

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    void
    Device::unsendable(TxQueue& queue, Skb& skb, TxFit fit, Place where) noexcept {
  if (fit == TxFit::kTooLong) return frame_limit.drop(queue.counters, skb, where);
  if (fit == TxFit::kChained && kChecksOn) {
    const BlockingByDesign allowed;
    report_contract(
        *this, "xmit-chained",
        "a frame that goes on in other buffers is sent; it is dropped: a port that takes superframes copies "
        "what it sends on",
        where);
  }
  queue.counters.drop(wire_size(skb).frames);
  DropReason why("it is not what its offload says");
  if (fit == TxFit::kChained) why = "it goes on in other buffers";
  if (fit == TxFit::kNoRoom) why = "no buffer is long enough for its segments";
  taps.dropped(skb, FrameWay::kOut, why);
  SkbPool::free(skb, where);
}
USERNIC_BLOCKING_BY_DESIGN_END

namespace {

NetdevTx checked(FrameAccount& account, const NdoCall<Ndo::kStartXmit>& start_xmit, Skb& skb, TxQueue& queue, bool more,
                 Place where) noexcept USERNIC_NONBLOCKING {
  XmitCheck check(account, queue, skb, where);
  return check.judge(start_xmit(skb, queue, more));
}

// Seen by taps, or checked: apart, so that who does neither has none of its stack.
[[gnu::noinline]] NetdevTx xmit_seen(const Taps& taps, const Taps::Section& seen_by, FrameAccount* account,
                                     const NdoCall<Ndo::kStartXmit>& start_xmit, Skb& skb, TxQueue& queue, bool more,
                                     Place where) noexcept USERNIC_NONBLOCKING {
  const SeenFrame seen(seen_by, skb, FrameWay::kOut);
  const GivenFrame given(taps);
  const NetdevTx result =
      kChecksOn ? checked(*account, start_xmit, skb, queue, more, where) : start_xmit(skb, queue, more);
  switch (result) {
    case NetdevTx::kOk:
      seen.settle(FrameFate::kWentOn);
      break;
    case NetdevTx::kDropped:
      seen.settle(FrameFate::kDropped, given.dropped());
      break;
    case NetdevTx::kBusy:
    case NetdevTx::kLocked:
      seen.settle(FrameFate::kNotTaken);
      break;
  }
  return result;
}

DropReason why_off(const Device& dev) noexcept USERNIC_NONBLOCKING {
  if (!dev.running_.load()) return "the device is down";
  return dev.present_.load() ? DropReason("the device has no carrier") : DropReason("the device is absent");
}

}  // namespace

// A sender whose frame was refused by a queue that runs would wait for ever: nobody wakes it. He tries again.
uint32_t NetDevice::xmit(TxQueue& queue, SkbBatch& frames, Place where) noexcept {
  Device& dev = Device::of(*this);
  const Device::Sent sent = dev.send(queue, frames, where);
  if (sent.refused && !queue.stopped()) [[unlikely]] {
    if (InPort port(dev); port) port->tx_wake(queue);
  }
  return sent.packets;
}

Device::Sent Device::send(TxQueue& queue, SkbBatch& frames, Place where) noexcept {
  if (ops.lltx) [[unlikely]] {
    const BhScope bh(where);
    const uint32_t section = lltx_senders.enter();
    const Sent sent = give(queue, frames, false, where);
    lltx_senders.leave(section);
    return sent;
  }
  LevelGuard guard(queue.xmit_lock(), queue.level_);  // the device above may hold its own
  if (queue.frozen_) [[unlikely]]
    return {};
  return give(queue, frames, true, where);
}

Skb* Device::next_to_give(TxQueue& queue, SkbBatch& frames, WireSize& wire, Place where) noexcept {
  const uint32_t longest = frame_limit.frame_bytes_max();
  while (Skb* const skb = frames.pop_front()) {
    wire = {.bytes = skb->size()};
    if (skb->offload().any() || skb->chain() != nullptr) [[unlikely]] {
      const TxFit fit = fit_to_device(*skb, frames, features(), longest);
      if (fit == TxFit::kWaits) return nullptr;
      if (fit == TxFit::kCut) continue;
      if (fit != TxFit::kReady) {
        unsendable(queue, *skb, fit, where);
        continue;
      }
      wire = wire_size(*skb);
    }
    if (skb->offload().superframe() || wire.bytes <= longest) [[likely]]
      return skb;
    frame_limit.drop(queue.counters, *skb, where);
  }
  return nullptr;
}

namespace {

// In verifier mode every other batch of a queue is sent with hard irqs disabled, which the contract allows.
class IrqsOffInTurn {
 public:
  explicit IrqsOffInTurn(TxQueue& queue) noexcept USERNIC_NONBLOCKING {
    if (!kVerifierOn) [[likely]]
      return;
    if (queue.counters.packets.load() % 2 == 1) off_.emplace();
  }

 private:
  std::optional<ContextScope<Context::kHardIrq, ScopeOf::kLock>> off_;
};

}  // namespace

// One frame ahead: only who has the next one in hand may say that more comes. Else a doorbell is never rung.
Device::Sent Device::give(TxQueue& queue, SkbBatch& frames, bool gathers, Place where) noexcept {
  if (!running_.load() || !present_.load() || !carrier_.load()) {
    queue.counters.drop_off(wire_of(frames).frames);
    taps.dropped(frames, FrameWay::kOut, why_off(*this));
    SkbPool::free(frames);
    return {};
  }
  const IrqsOffInTurn as_netpoll_does(queue);
  const NdoCall<Ndo::kStartXmit> start_xmit(*this, &queue.xmit_lock());
  const Taps::Section seen_by(taps);
  const bool is_seen = kChecksOn || !seen_by.empty();
  Sent sent;
  Sent taken_below;
  WireSize wire, next_wire;
  Skb* skb = queue.xmit_stopped() ? nullptr : next_to_give(queue, frames, wire, where);
  while (skb != nullptr && !queue.xmit_stopped()) {
    Skb* const next = next_to_give(queue, frames, next_wire, where);
    const bool more = next != nullptr;
    const uint32_t below = queue.below_.size();
    if (gathers) queue.more_ = more;
    skb->cb_used_ = false;  // what the sender had there is his
    const NetdevTx result = is_seen ? xmit_seen(taps, seen_by, frames_out.get(), start_xmit, *skb, queue, more, where)
                                    : start_xmit(*skb, queue, more);
    if (result == NetdevTx::kBusy || result == NetdevTx::kLocked) {
      if (next != nullptr) frames.push_front(*next);
      sent.refused = true;
      break;
    }
    if (result == NetdevTx::kDropped) {
      queue.counters.drop(wire.frames);
    } else {
      sent.packets += wire.frames;
      sent.bytes += wire.bytes;
      if (queue.below_.size() != below) {
        taken_below.packets += wire.frames;
        taken_below.bytes += wire.bytes;
      }
    }
    skb = next;
    wire = next_wire;
  }
  if (skb != nullptr) frames.push_front(*skb);
  Sent counted = sent;
  if (gathers && taken_below.packets != 0) [[unlikely]]
    TxBelow::flush(queue, taken_below, sent, counted);
  queue.counters.add(counted.packets, counted.bytes);
  if (queue.xmit_stopped()) net_ref.impl().tx_watchdog.arm();
  return sent;
}

}  // namespace usernic
