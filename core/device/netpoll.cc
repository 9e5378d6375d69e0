// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/netpoll.h"

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/net_impl.h"

namespace usernic {
namespace {

constexpr int kTries = 20;
constexpr Duration kLater = std::chrono::milliseconds(10);

// A driver that is polled may have something to say itself, which is sent by polling.
bool& polling_here() noexcept USERNIC_NONBLOCKING {
  return Local<bool, Netpoll>::get();
}

// So may one that sends; a driver without the core's lock would send that from within, and from within that.
bool& sending_here() noexcept USERNIC_NONBLOCKING {
  return Local<bool, SkbBatch>::get();
}

using IrqsOff = ContextScope<Context::kHardIrq, ScopeOf::kLock>;

// The instance at a place in the list, and nobody else gets into its poll. Null: there is none. `free`: it is ours.
Napi* claim(Device& dev, size_t at, bool& free) noexcept USERNIC_NONBLOCKING {
  if (!dev.napis_lock.try_lock()) return nullptr;
  Napi* found = nullptr;
  for (Napi& each : dev.napis) {
    if (at-- != 0) continue;
    found = &each;
    free = Softirq::claim(each);
    break;
  }
  dev.napis_lock.unlock();
  return found;
}

void poll_controller(Device& dev) noexcept USERNIC_NONBLOCKING {
  const uint32_t section = dev.netpollers.enter();
  if (dev.running_.load() && dev.present_.load()) call_ndo<Ndo::kPollController>(dev);
  dev.netpollers.leave(section);
}

}  // namespace

void Netpoll::poll(NetDevice& device, Place where) noexcept {
  Device& dev = Device::of(device);
  if (std::exchange(polling_here(), true)) return;
  const ReportsOn concerned(dev);
  const IrqsOff irqs_off(where);
  if (has_ndo<Ndo::kPollController>(dev)) poll_controller(dev);
  bool free = false;
  for (size_t i = 0; Napi* const napi = claim(dev, i, free); ++i) {
    if (free) Softirq::poll_claimed(*napi);
  }
  polling_here() = false;
}

// False: somebody holds the queue. Of an empty batch nothing is left to do.
bool Device::try_send(TxQueue& queue, SkbBatch& frames, Sent& sent,
                      Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  if (ops.lltx) {
    const uint32_t section = lltx_senders.enter();
    sent = give(queue, frames, false, where);
    lltx_senders.leave(section);
    return true;
  }
  if (!queue.xmit_lock().try_lock(where)) return false;
  if (!queue.frozen_) sent = give(queue, frames, true, where);
  queue.xmit_lock().unlock();
  return true;
}

Netpoll::Netpoll(NetDevice& dev) : dev_(dev), send_kept_([this] { send_kept(); }) {}

Netpoll::~Netpoll() {
  send_kept_.disable_sync();
}

bool Netpoll::send(Skb& skb, Place where) noexcept {
  Device& dev = Device::of(*dev_);
  const ReportsOn concerned(dev);
  const IrqsOff irqs_off(where);
  SkbBatch one;
  one.push_back(skb, where);
  if (std::exchange(sending_here(), true)) return keep(one);
  const bool sent = send_now(one, where);
  sending_here() = false;
  return sent;
}

bool Netpoll::send_now(SkbBatch& one, Place where) noexcept {
  Device& dev = Device::of(*dev_);
  TxQueue& queue = dev.queue_for(*one.front(), std::nullopt, where);
  for (int i = 0; i < kTries && kept_count_.load() == 0; ++i) {
    Device::Sent sent;
    if (dev.try_send(queue, one, sent, where) && one.empty()) {
      (sent.packets != 0 ? sent_ : dropped_).fetch_add(1);
      return sent.packets != 0;
    }
    poll(dev, where);
    spin_pause();
  }
  return keep(one);
}

// What is kept goes first. False, in any case.
bool Netpoll::keep(SkbBatch& frames) noexcept {
  {
    SpinGuard guard(lock_);
    if (kept_count_.load() < kKeptMax) {
      kept_.splice(frames);
      kept_count_.fetch_add(1);
    }
  }
  (frames.empty() ? later_ : dropped_).fetch_add(1);
  Device::of(*dev_).net_ref.system_workqueue().queue_at(send_kept_, kAtOnce);
  return false;
}

void Netpoll::send_kept() {
  SkbBatch frames;
  {
    SpinGuard guard(lock_);
    frames.splice(kept_);
  }
  const uint32_t before = frames.size();
  dev_->xmit(frames);
  uint32_t left;
  {
    SpinGuard guard(lock_);
    const uint32_t gone = before - frames.size();
    kept_.splice_front(frames);
    left = kept_count_.fetch_sub(gone) - gone;
  }
  wake_all(kept_count_);
  if (left != 0) dev_->net().system_workqueue().queue_at(send_kept_, Clock::now() + kLater);
}

bool Netpoll::flush(Time deadline) {
  for (uint32_t kept; (kept = kept_count_.load()) != 0;) {
    if (!wait_on(kept_count_, kept, deadline)) return false;
  }
  return true;
}

Netpoll::Counters Netpoll::counters() const noexcept {
  return {.sent = sent_.load(), .later = later_.load(), .dropped = dropped_.load()};
}

}  // namespace usernic
