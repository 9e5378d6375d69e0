// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a NIC whose every answer is the test's choice.
#pragma once

#include <algorithm>
#include <deque>
#include <set>

#include "testing/frames.h"
#include "testing/watch.h"
#include "usernic/lock.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

// A NIC and its driver in one. What it answers and how long it takes is the test's choice, at any time; what it is sent
// is kept, what the wire brings is received through NAPI, and its filter holds everything that it is told. Of a device
// `dev` it is TestNic::of(dev).
class TestNic {
 public:
  explicit TestNic(NetDevice& dev) : dev_(dev), pool_(128, 9100), napi_(dev, *this) {}
  static TestNic& of(NetDevice& dev) { return *static_cast<TestNic*>(dev.driver()); }

  Result<> open_answer, mtu_answer, carrier_answer, address_answer;
  Atomic<uint32_t> opens{0}, stops{0}, carrier_changes{0}, filter_calls{0};
  Event asked_address, asked_mtu;
  Switch mtu_stuck;                 // while on, no change of the MTU ends
  Atomic<int64_t> call_time_ns{0};  // of one filter call or one open; ends early when asked to stop
  Atomic<bool> wire_up{true};       // what change_carrier(true) comes to

  Frames sent;
  Atomic<bool> tx_full{false};       // the ring has no room
  Atomic<bool> keeps_frames{false};  // the buffers of what it is sent stay with it, until `give_back`

  mutable Mutex lock{kClass};
  std::set<MacAddress> filter USERNIC_GUARDED_BY(lock);
  bool promisc USERNIC_GUARDED_BY(lock) = false;
  bool allmulti USERNIC_GUARDED_BY(lock) = false;
  bool holds(const MacAddress& address) const {
    MutexGuard guard(lock);
    return filter.contains(address);
  }

  size_t kept_count() const {
    SpinGuardBh guard(frames_lock_);
    return kept_.size();
  }
  void give_back() {
    keeps_frames.store(false);
    SpinGuardBh guard(frames_lock_);
    SkbPool::free(kept_);
  }
  // The wire brings frames.
  void inject(const Frame& frame) { inject_all({frame}); }
  void inject_all(const All& frames) {
    {
      SpinGuardBh guard(frames_lock_);
      to_receive_.insert(to_receive_.end(), frames.begin(), frames.end());
    }
    napi_.schedule();
  }

  Result<> open() {
    take_time();
    opens.fetch_add(1);
    if (!open_answer) return open_answer;
    napi_.enable();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    napi_.disable();
    stops.fetch_add(1);
    MutexGuard guard(lock);
    filter.clear();
    promisc = allmulti = false;
  }
  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a test may allocate here
      NetdevTx
      start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (queue.maybe_stop([&] { return tx_full.load() ? 0u : 1u; }, 1)) return NetdevTx::kBusy;
    sent.note(skb);
    if (keeps_frames.load()) {
      SpinGuard guard(frames_lock_);
      kept_.push_back(skb);
    } else {
      SkbPool::free(skb);
    }
    return NetdevTx::kOk;
  }
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    SkbBatch frames;
    {
      SpinGuard guard(frames_lock_);
      while (!to_receive_.empty() && static_cast<int>(frames.size()) < budget) {
        Skb* const skb = pool_.alloc();
        if (skb == nullptr) break;
        const Frame& frame = to_receive_.front();
        std::copy(frame.begin(), frame.end(), skb->put(static_cast<uint32_t>(frame.size())));
        frames.push_back(*skb);
        to_receive_.pop_front();
      }
    }
    const int work = static_cast<int>(frames.size());
    napi.receive(frames);
    if (work < budget) napi.complete_done(work);
    return work;
  }
  USERNIC_BLOCKING_BY_DESIGN_END

  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 65536, .multicast_slots = 65536}; }
  void set_rx_mode_async(RxPlan& plan) {
    filter_calls.fetch_add(1);
    take_time(plan.stop());
    while (RxCommand* command = plan.next()) {
      MutexGuard guard(lock);
      const bool on = command->kind == RxCommandKind::kAdd || command->kind == RxCommandKind::kWiden;
      if (command->object == RxObject::kPromisc)
        promisc = on;
      else if (command->object == RxObject::kAllmulti)
        allmulti = on;
      else if (on)
        filter.insert(command->address);
      else
        filter.erase(command->address);
      plan.answer(*command, {});
    }
  }
  Result<> change_mtu(uint32_t) {
    asked_mtu.set();
    mtu_stuck.wait_off();
    return mtu_answer;
  }
  Result<> set_mac_address(const MacAddress&) {
    asked_address.set();
    return address_answer;
  }
  Result<> change_carrier(bool on) {
    carrier_changes.fetch_add(1);
    if (!carrier_answer) return carrier_answer;
    const bool carrier = on && wire_up.load();
    carrier ? dev_.carrier_on() : dev_.carrier_off();
    return {};
  }

 private:
  static constexpr LockClass kClass{"test_nic"};
  static constexpr LockClass kFramesClass{"test_nic_frames"};

  void take_time(StopToken stop = current_stop_token()) {
    const Duration time(call_time_ns.load());
    if (time > Duration::zero()) (void)stop.wait_until(Clock::now() + time);
  }

  NetDevice& dev_;
  SkbPool pool_;
  mutable SpinLock frames_lock_{kFramesClass};
  std::deque<Frame> to_receive_ USERNIC_GUARDED_BY(frames_lock_);
  SkbBatch kept_ USERNIC_GUARDED_BY(frames_lock_);
  Napi napi_;
};

}  // namespace usernic
