// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/napi.h"

#include "core/device/device.h"
#include "core/device/poll_threads.h"
#include "usernic/contract_report.h"
#include "usernic/long_wait.h"

namespace usernic {
namespace {
constexpr const char* kWaitsForItself =
    "a poll waits for its own end, and returns at once: disable and synchronize are for open, stop and work items";
}  // namespace

Napi::Napi(NetDevice& dev, void* driver, int weight, uint16_t queue, Poll poll)
    : dev_(dev),
      driver_(driver),
      weight_(weight),
      queue_(queue),
      poll_(poll),
      ndo_(Device::of(dev)),
      home_(Device::of(dev).poll_threads.move_in()) {
  Device& device = Device::of(dev_);
  SpinGuardBh guard(device.napis_lock);
  device.napis.push_back(*this);
}

Napi::~Napi() {
  if (enabled_) report_contract(dev_, "napi-freed", "a NAPI instance is destroyed while enabled", Place::current());
  Device& device = Device::of(dev_);
  device.poll_threads.move_out(home_);
  SpinGuardBh guard(device.napis_lock);
  device.napis.erase(device.napis.iterator_to(*this));
  device.napis_gone.rx_packets += counters.packets.load();
  device.napis_gone.rx_bytes += counters.bytes.load();
  device.napis_gone.rx_dropped += counters.dropped.load();
  device.napis_gone.rx_too_long += counters.too_long.load();
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
  if (Softirq::polled().napi == this) return report("napi-wait-in-poll", kWaitsForItself, where);
  if (!enabled_.exchange(false)) {
    return report_contract(dev_, "napi-disable-twice", "a disabled NAPI instance is disabled", where);
  }
  // From now on a poll that ends leaves SCHED to us; take it as soon as nobody owns it.
  uint32_t state = state_.fetch_or(kDisable) | kDisable;
  LongWait wait("a NAPI instance's poll to end, so that it is disabled", where);
  while (true) {
    if ((state & kSched) == 0) {
      if (state_.compare_exchange_weak(state, kSched | (state & kMissed))) break;
    } else {
      wait.on(state_, state);
      state = state_.load();
    }
  }
  home_.wait_out(*this, wait);
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
  home_.add(*this, PollThreads::polls_here() == &Device::of(dev_).poll_threads);
}

void Napi::synchronize(Place where) {
  const ReportsOn concerned(dev_);
  might_sleep(where);
  if (Softirq::polled().napi == this) return report("napi-wait-in-poll", kWaitsForItself, where);
  LongWait wait("a NAPI instance's poll to end", where);
  home_.wait_idle(*this, wait);
}

bool Napi::complete_done(int, Place where) noexcept {
  Softirq::Polled& polled = Softirq::polled();
  if (polled.napi == this && polled.without_budget) [[unlikely]] {
    if (kChecksOn) {
      report("napi-completed-without-budget",
             "complete_done in a poll of budget 0, whose instance is somebody else's: nothing is done", where);
    }
    return false;
  }
  if (polled.napi == this) {
    if (std::exchange(polled.completed, true)) [[unlikely]] {
      report("napi-completed-twice", "a poll completes its instance, which is not its any more: once is enough", where);
      return false;
    }
  } else if (kChecksOn) {
    report("napi-outside-poll", "complete_done is called by somebody else than the instance's poll, who owns it",
           where);
  }
  return give_up();
}

// Returns true when nobody wants it polled.
bool Napi::give_up() noexcept {
  uint32_t state = state_.load();
  while (true) {
    const bool disabling = (state & kDisable) != 0;
    const bool again = (state & kMissed) != 0 && !disabling;
    uint32_t next = 0;
    if (again) next = kSched;
    if (disabling) next = kDisable | (state & kMissed);
    if (!state_.compare_exchange_weak(state, next)) continue;
    if (again) schedule_prepared();
    if (disabling) wake_all(state_);
    return !again && !disabling;
  }
}

// A poll that used its budget gives the instance to a `disable` that waits for it. What it left waits for `enable`.
void Napi::yield_to_disable() noexcept {
  state_.store(kDisable | kMissed);
  wake_all(state_);
}

void Napi::receive(SkbBatch& frames, Place where) noexcept {
  if (kChecksOn && Softirq::polled().napi != this) [[unlikely]]
    report(
        "napi-outside-poll",
        "receive is called by somebody else than the instance's poll, so that frames may overtake each other: schedule "
        "the instance, and hand them over in its poll",
        where);
  if (kChecksOn && Softirq::polled().without_budget && !frames.empty()) [[unlikely]]
    report(
        "napi-received-without-budget",
        "frames are received in a poll of budget 0, which may be inside of a sender's: they wait for a poll with one",
        where);
  Device& device = Device::of(dev_);
  const bool offloaded = device.frame_limit.receive(counters, frames, FrameLimit::From::kCard, where);
  device.deliver(queue_, frames, offloaded);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    void
    Napi::report(const char* rule, const char* text, Place where) const noexcept {
  const BlockingByDesign allowed;
  report_contract(dev_, rule, text, where);
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
