// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/napi.h"

#include "core/device.h"
#include "core/net_impl.h"

namespace usernic {

Napi::Napi(NetDevice& dev, void* driver, int weight, Poll poll)
    : dev_(dev), driver_(driver), weight_(weight), poll_(poll) {
  Device& device = Device::of(dev_);
  SpinGuardBh guard(device.napis_lock);
  device.napis.push_back(*this);
}

Napi::~Napi() {
  if (enabled_) report_contract(dev_, "napi-freed", "a NAPI instance is destroyed while enabled", Place::current());
  Device& device = Device::of(dev_);
  SpinGuardBh guard(device.napis_lock);
  device.napis.erase(device.napis.iterator_to(*this));
  device.napis_gone.rx_packets += counters.packets.load();
  device.napis_gone.rx_bytes += counters.bytes.load();
  device.napis_gone.rx_dropped += counters.dropped.load();
}

void Napi::enable(Place where) {
  if (enabled_.exchange(true)) {
    return report_contract(dev_, "napi-enable-twice", "an enabled NAPI instance is enabled", where);
  }
  // What was scheduled while disabled only left MISSED: one poll looks after it.
  const bool missed = (state_.exchange(0) & kMissed) != 0;
  if (missed) schedule();
}

void Napi::disable(Place where) {
  const ReportsOn concerned(dev_);
  might_sleep(where);
  if (!enabled_.exchange(false)) {
    return report_contract(dev_, "napi-disable-twice", "a disabled NAPI instance is disabled", where);
  }
  // From now on a poll that ends leaves SCHED to us; take it as soon as nobody owns it.
  uint32_t state = state_.fetch_or(kDisable) | kDisable;
  while (true) {
    if ((state & kSched) == 0) {
      if (state_.compare_exchange_weak(state, kSched | (state & kMissed))) break;
    } else {
      wait_on(state_, state);
      state = state_.load();
    }
  }
  Device::of(dev_).net_ref.impl().softirq.wait_out(*this);
}

bool Napi::schedule() noexcept {
  if (!schedule_prep()) return false;
  schedule_prepared();
  return true;
}

bool Napi::schedule_prep() noexcept {
  uint32_t state = state_.load();
  uint32_t next;
  do {
    // Owned by somebody: have it polled again. MISSED of a disabled one waits for `enable`.
    next = (state & (kSched | kDisable)) != 0 ? state | kMissed : state | kSched;
  } while (!state_.compare_exchange_weak(state, next));
  return (next & kMissed) == 0;
}

void Napi::schedule_prepared() noexcept {
  Device::of(dev_).net_ref.impl().softirq.add(*this);
}

void Napi::synchronize(Place where) {
  const ReportsOn concerned(dev_);
  might_sleep(where);
  Device::of(dev_).net_ref.impl().softirq.wait_idle(*this);
}

bool Napi::complete_done(int) noexcept {
  uint32_t state = state_.load();
  while (true) {
    const bool disabling = (state & kDisable) != 0;
    const bool again = (state & kMissed) != 0 && !disabling;
    uint32_t next = 0;
    if (again) next = kSched;
    if (disabling) next = kDisable | (state & kMissed);
    if (!state_.compare_exchange_weak(state, next)) continue;
    if (again) Device::of(dev_).net_ref.impl().softirq.add(*this);
    if (disabling) wake_all(state_);
    return !again && !disabling;
  }
}

// A poll that used its budget gives the instance to a `disable` that waits for it. What it left waits for `enable`.
void Napi::yield_to_disable() noexcept {
  state_.store(kDisable | kMissed);
  wake_all(state_);
}

void Napi::receive(SkbBatch& frames) noexcept {
  uint64_t bytes = 0;
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) bytes += skb->size();
  counters.add(frames.size(), bytes);
  Device::of(dev_).deliver(frames);
}

}  // namespace usernic
