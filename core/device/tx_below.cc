// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/tx_below.h"

#include "core/device/net_impl.h"
#include "core/frame/given_frame.h"
#include "core/frame/tx_offload.h"
#include "core/frame/xmit_check.h"
#include "core/lock/level_guard.h"
#include "core/lock/mutation.h"

namespace usernic {

namespace {

// What the lower takes later though its queue runs, buffers for segments say, nobody tells.
constexpr Duration kResumeLater = std::chrono::milliseconds(1);
// An lltx driver that stopped its queue may take that back without a word.
constexpr Duration kLookAgain = std::chrono::milliseconds(10);

constexpr DropReason kByLower("by the device below");

TxQueue& queue_below(NetDevice& to, const TxQueue& upper) noexcept USERNIC_NONBLOCKING {
  return to.tx_queue(upper.index() % to.tx_queue_count());
}

}  // namespace

NetdevTx TxBelow::send(TxQueue& queue, NetDevice& to, Skb& skb) noexcept {
  if (kChecksOn) XmitCheck::end(skb);
  // A superframe may go down in part, which is for `flush` to count.
  const bool counts = skb.offload().superframe() && !Device::of(queue.dev_).ops.lltx;
  const bool gathers = queue.more_ || !queue.below_.empty() || counts;
  if (gathers && (queue.below_.empty() || queue.below_to_ == &to)) {
    queue.below_to_ = &to;
    queue.below_.push_back(skb);
    return NetdevTx::kOk;
  }
  SkbBatch one;
  one.push_back(skb);
  TxQueue& lower = queue_below(to, queue);
  if (Device::of(to).send(lower, one).packets != 0 && one.empty()) return NetdevTx::kOk;
  // What is left is freed. `below_` is the xmit lock's, which lltx senders do not hold.
  if (one.empty() || !queue.below_.empty() || Device::of(queue.dev_).ops.lltx) {
    GivenFrame::say(Device::of(queue.dev_).taps, one.empty() ? kByLower : DropReason("there was no room below"));
    return NetdevTx::kDropped;
  }
  queue.below_to_ = &to;
  queue.below_.splice(one);
  wait(queue, lower);
  return NetdevTx::kOk;
}

// Whoever makes the lower queue run after the store sees that we wait; who did before does not. So it is looked at once
// more, while nobody is in its start_xmit, where a stop may be taken back without a word. Of an lltx driver that is not
// known: it is asked again.
void TxBelow::wait(TxQueue& queue, TxQueue& lower) noexcept {
  queue.waits_below_.store(true);
  if (mutated(Mutation::kNoSecondLook)) return;
  const Device& to = Device::of(lower.dev_);
  const auto somebody_tells = [&]() noexcept {
    return lower.xmit_stopped() && to.running_.load() && to.present_.load() && to.carrier_.load();
  };
  Duration later = kResumeLater;
  if (to.ops.lltx) {
    if (somebody_tells()) later = kLookAgain;
  } else {
    LevelGuard guard(lower.xmit_lock(), lower.level_);
    if (lower.frozen_ || somebody_tells()) return;
  }
  Device& upper = Device::of(queue.dev_);
  upper.net_ref.system_workqueue().queue_at(upper.resume_, Clock::now() + later);
}

void TxBelow::drop(TxQueue& queue, DropReason why) noexcept {
  queue.counters.drop(wire_of(queue.below_).frames);
  Device::of(queue.dev_).taps.dropped(queue.below_, FrameWay::kOut, why);
  SkbPool::free(queue.below_);
  queue.waits_below_.store(false);
}

void TxBelow::leave(Device& upper, const NetDevice& lower) {
  for (TxQueue& queue : upper.tx_queues) {
    {
      SpinGuardBh sees_it_through(queue.xmit_lock(), upper.engine.wanted.level());
      if (!queue.waits_below_.load() || queue.below_to_ != &lower) continue;
      drop(queue, "it waited for a device that is not below any more");
    }
    upper.tell_room(queue);
  }
  if (upper.ops.lltx) upper.lltx_senders.synchronize("its driver's start_xmit to end, so that a device below leaves");
}

void TxBelow::resume_if_waiting(Device& upper) noexcept {
  for (const TxQueue& queue : upper.tx_queues) {
    if (!queue.waits_below_.load()) continue;
    upper.net_ref.system_workqueue().queue(upper.resume_);
    return;
  }
}

// Of a lower that went down, or lost its carrier, `send` drops.
void Device::resume_below() {
  for (TxQueue& queue : tx_queues) {
    if (!queue.waits_below_.load()) continue;
    {
      LevelGuard guard(queue.xmit_lock(), queue.level_);
      if (!queue.waits_below_.load()) continue;
      const Sent sent = TxBelow::give(queue, wire_of(queue.below_).frames);
      queue.counters.add(sent.packets, sent.bytes);
      if (!queue.below_.empty()) {
        TxBelow::wait(queue, queue_below(*queue.below_to_, queue));
        continue;
      }
      queue.waits_below_.store(false);
    }
    tell_room(queue);
  }
}

// What went out of the `before` frames that wait, as the upper was given it: what that adds to a frame, a tag, it adds
// to each. What the lower dropped is counted here, and what it had no room for stays.
Device::Sent TxBelow::give(TxQueue& queue, uint32_t before) noexcept {
  const Device::Sent below = Device::of(*queue.below_to_).send(queue_below(*queue.below_to_, queue), queue.below_);
  const uint32_t left = wire_of(queue.below_).frames;
  if (const uint32_t lost = before - left - below.packets; lost != 0) queue.counters.drop(lost);
  const int64_t added = int64_t{queue.below_added_} * below.packets;
  return {.packets = below.packets, .bytes = below.bytes - static_cast<uint64_t>(added)};
}

// `sent` is what the driver took, and did not drop; `counted` what of it is out.
void TxBelow::flush(TxQueue& queue, const Device::Sent& taken, Device::Sent& sent, Device::Sent& counted) noexcept {
  const WireSize handed = wire_of(queue.below_);
  queue.below_added_ = static_cast<int32_t>((static_cast<int64_t>(handed.bytes) - static_cast<int64_t>(taken.bytes)) /
                                            static_cast<int64_t>(handed.frames));
  Device::Sent out;
  if (!queue.waits_below_.load(std::memory_order_relaxed)) {
    out = give(queue, handed.frames);
    if (!queue.below_.empty()) wait(queue, queue_below(*queue.below_to_, queue));  // taken, and out later
  }
  const WireSize waits = wire_of(queue.below_);
  const uint64_t waiting = waits.bytes - static_cast<uint64_t>(int64_t{queue.below_added_} * waits.frames);
  counted.packets += out.packets - taken.packets;
  counted.bytes += out.bytes - taken.bytes;
  sent.packets = counted.packets + waits.frames;
  sent.bytes = counted.bytes + waiting;
}

}  // namespace usernic
