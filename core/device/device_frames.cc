// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames on their way to the driver, and its TX queues.
#include <fmt/format.h>

#include <optional>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "core/frame/tx_offload.h"
#include "core/frame/xmit_check.h"
#include "core/lock/level_guard.h"
#include "core/lock/mutation.h"
#include "core/lock/notice.h"
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
  SkbPool::free(skb, where);
}
USERNIC_BLOCKING_BY_DESIGN_END

namespace {

NetdevTx checked(FrameAccount& account, const NdoCall<Ndo::kStartXmit>& start_xmit, Skb& skb, TxQueue& queue, bool more,
                 Place where) noexcept USERNIC_NONBLOCKING {
  XmitCheck check(account, queue, skb, where);
  return check.judge(start_xmit(skb, queue, more));
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
    SkbPool::free(frames);
    return {};
  }
  const IrqsOffInTurn as_netpoll_does(queue);
  const NdoCall<Ndo::kStartXmit> start_xmit(*this, &queue.xmit_lock());
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
    const NetdevTx result =
        kChecksOn ? checked(*frames_out, start_xmit, *skb, queue, more, where) : start_xmit(*skb, queue, more);
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
    flush_below(queue, taken_below, sent, counted);
  queue.counters.add(counted.packets, counted.bytes);
  if (queue.xmit_stopped()) net_ref.impl().tx_watchdog.arm();
  return sent;
}

namespace {

// What the lower takes later though its queue runs, buffers for segments say, nobody tells.
constexpr Duration kResumeLater = std::chrono::milliseconds(1);

TxQueue& queue_below(NetDevice& to, const TxQueue& upper) noexcept USERNIC_NONBLOCKING {
  return to.tx_queue(upper.index() % to.tx_queue_count());
}

}  // namespace

NetdevTx Device::send_below(TxQueue& queue, NetDevice& to, Skb& skb) noexcept {
  if (kChecksOn) XmitCheck::end(skb);
  // A superframe may go down in part, which is for `flush_below` to count.
  const bool counts = skb.offload().superframe() && !of(queue.dev_).ops.lltx;
  const bool gathers = queue.more_ || !queue.below_.empty() || counts;
  if (gathers && (queue.below_.empty() || queue.below_to_ == &to)) {
    queue.below_to_ = &to;
    queue.below_.push_back(skb);
    return NetdevTx::kOk;
  }
  SkbBatch one;
  one.push_back(skb);
  TxQueue& lower = queue_below(to, queue);
  if (of(to).send(lower, one).packets != 0 && one.empty()) return NetdevTx::kOk;
  // What is left is freed. `below_` is the xmit lock's, which lltx senders do not hold.
  if (one.empty() || !queue.below_.empty() || of(queue.dev_).ops.lltx) return NetdevTx::kDropped;
  queue.below_to_ = &to;
  queue.below_.splice(one);
  wait_below(queue, lower);
  return NetdevTx::kOk;
}

// Whoever makes the lower queue run after the store sees that we wait; who did before does not. So it is looked at once
// more, while nobody is in its start_xmit, where a stop may be taken back without a word. Of an lltx driver that is not
// known: it is asked again.
void Device::wait_below(TxQueue& queue, TxQueue& lower) noexcept {
  queue.waits_below_.store(true);
  if (mutated(Mutation::kNoSecondLook)) return;
  const Device& to = of(lower.dev_);
  const auto somebody_tells = [&]() noexcept {
    return lower.xmit_stopped() && to.running_.load() && to.present_.load() && to.carrier_.load();
  };
  bool told = false;
  if (!to.ops.lltx) {
    LevelGuard guard(lower.xmit_lock(), lower.level_);
    told = lower.frozen_ || somebody_tells();
  }
  if (!told) of(queue.dev_).net_ref.system_workqueue().queue_at(of(queue.dev_).resume_, Clock::now() + kResumeLater);
}

void Device::drop_below(TxQueue& queue) noexcept {
  queue.counters.drop(wire_of(queue.below_).frames);
  SkbPool::free(queue.below_);
  queue.waits_below_.store(false);
}

void Device::leave_below(const NetDevice& lower) {
  for (TxQueue& queue : tx_queues) {
    {
      SpinGuardBh sees_it_through(queue.xmit_lock(), engine.wanted.level());
      if (!queue.waits_below_.load() || queue.below_to_ != &lower) continue;
      drop_below(queue);
    }
    tell_room(queue);
  }
  if (ops.lltx) lltx_senders.synchronize();
}

void Device::resume_if_waiting() noexcept {
  for (const TxQueue& queue : tx_queues) {
    if (!queue.waits_below_.load()) continue;
    net_ref.system_workqueue().queue(resume_);
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
      const Sent sent = give_below(queue, wire_of(queue.below_).frames);
      queue.counters.add(sent.packets, sent.bytes);
      if (!queue.below_.empty()) {
        wait_below(queue, queue_below(*queue.below_to_, queue));
        continue;
      }
      queue.waits_below_.store(false);
    }
    tell_room(queue);
  }
}

// What went out of the `before` frames that wait, as the upper was given it: what that adds to a frame, a tag, it adds
// to each. What the lower dropped is counted here, and what it had no room for stays.
Device::Sent Device::give_below(TxQueue& queue, uint32_t before) noexcept {
  const Sent below = of(*queue.below_to_).send(queue_below(*queue.below_to_, queue), queue.below_);
  const uint32_t left = wire_of(queue.below_).frames;
  if (const uint32_t lost = before - left - below.packets; lost != 0) queue.counters.drop(lost);
  const int64_t added = int64_t{queue.below_added_} * below.packets;
  return {.packets = below.packets, .bytes = below.bytes - static_cast<uint64_t>(added)};
}

// `sent` is what the driver took, and did not drop; `counted` what of it is out.
void Device::flush_below(TxQueue& queue, const Sent& taken, Sent& sent, Sent& counted) noexcept {
  const WireSize handed = wire_of(queue.below_);
  queue.below_added_ = static_cast<int32_t>((static_cast<int64_t>(handed.bytes) - static_cast<int64_t>(taken.bytes)) /
                                            static_cast<int64_t>(handed.frames));
  Sent out;
  if (!queue.waits_below_.load(std::memory_order_relaxed)) {
    out = give_below(queue, handed.frames);
    if (!queue.below_.empty()) wait_below(queue, queue_below(*queue.below_to_, queue));  // taken, and out later
  }
  const WireSize waits = wire_of(queue.below_);
  const uint64_t waiting = waits.bytes - static_cast<uint64_t>(int64_t{queue.below_added_} * waits.frames);
  counted.packets += out.packets - taken.packets;
  counted.bytes += out.bytes - taken.bytes;
  sent.packets = counted.packets + waits.frames;
  sent.bytes = counted.bytes + waiting;
}

TxQueue::TxQueue(NetDevice& dev, uint16_t index) noexcept : dev_(dev), index_(index), xmit_lock_(kXmitClass) {}

// Locks of one class do not nest at one level, so not all xmit locks are held: each queue is marked under its own.
void Device::freeze_tx(Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const ReportsOn concerned(*this);
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  tx_freeze_lock.lock(engine.wanted.level(), where);
  for (TxQueue& queue : tx_queues) {
    LevelGuard guard(queue.xmit_lock(), queue.level_, where);
    queue.frozen_ = true;
  }
}

void Device::thaw_tx() noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  for (TxQueue& queue : tx_queues) {
    LevelGuard guard(queue.xmit_lock(), queue.level_);
    queue.frozen_ = false;
  }
  tx_freeze_lock.unlock();
  if (kChecksOn) internal::leave_context();
  // Stopped ones too: who stopped one meanwhile may start it again without a word, and a sleeper looks for himself.
  for (TxQueue& queue : tx_queues) tell_room(queue);
}

void Device::Watched::time_out(TxQueue& queue, const std::string& what) {
  const ReportsOn concerned(dev_);
  notice("{} (driver {}): TX queue {} {}, and nobody wakes it", dev_.name(), dev_.driver_name(), queue.index(), what);
  queue.timeouts_.fetch_add(1, std::memory_order_relaxed);  // who sees it can read why
  if (!recovers()) return;
  dev_.freeze_tx();
  NdoCall<Ndo::kTxTimeout>(dev_, &dev_.tx_freeze_lock)(queue);
  dev_.thaw_tx();
}

// The limit may have risen since it was looked at: then nobody else would wake.
void TxQueue::stop_by_limit() noexcept {
  stops_.fetch_add(1, std::memory_order_relaxed);
  stopped_.fetch_or(kByLimit);
  if (byte_limit_.room() >= 0) stopped_.fetch_and(static_cast<uint8_t>(~kByLimit));
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    static void
    report_overcompleted(const TxQueue& queue, uint64_t bytes, Place where) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract(queue.dev(), "bql-overcompleted",
                  fmt::format("{} octets are completed on TX queue {}, which are more than were sent and not completed",
                              bytes, queue.index()),
                  where);
}
USERNIC_BLOCKING_BY_DESIGN_END

void TxQueue::completed(uint32_t frames, uint64_t bytes, Place where) noexcept {
  if (frames == 0) return;
  if (!byte_limit_.completed(bytes, Clock::now())) [[unlikely]]
    report_overcompleted(*this, bytes, where);
  if ((stopped_.load() & kByLimit) == 0 || byte_limit_.room() < 0) return;
  if (stopped_.fetch_and(static_cast<uint8_t>(~kByLimit)) != kByLimit) return;  // the driver's stop is left
  wakes_.fetch_add(1, std::memory_order_relaxed);
  Device::of(dev_).tell_room(*this);
}

void TxQueue::forget_sent() noexcept {
  byte_limit_.forget_queued();
  stopped_.fetch_and(static_cast<uint8_t>(~kByLimit));
}

void TxQueue::wake() noexcept {
  wakes_.fetch_add(1, std::memory_order_relaxed);
  start();
  Device::of(dev_).tell_room(*this);
}

void Device::tell_room(TxQueue& queue) noexcept {
  if (InPort port(*this); port) port->tx_wake(queue);
  resume_uppers(*this);
}

}  // namespace usernic
