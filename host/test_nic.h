// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: for tests, a NIC whose every answer is the test's choice. What it is sent is kept, what the test injects is
// received through NAPI; its filter holds everything it is told.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <vector>

#include "usernic/lock.h"
#include "usernic/napi.h"
#include "usernic/net.h"

namespace usernic {

// On until it is switched off; whoever waits for that sleeps.
class Switch {
 public:
  void set(bool on) {
    on_.store(on);
    wake_all(on_);
  }
  void wait_off() const {
    while (on_.load() != 0) wait_on(on_, 1);
  }

 private:
  Atomic<uint32_t> on_{0};
};

struct TestNic {
  using Frame = std::vector<uint8_t>;

  // Set before the device is used.
  Result<> open_answer{};
  Result<> mtu_answer{};
  Result<> carrier_answer{};
  Atomic<bool> mtu_asked{false};
  Switch mtu_stuck;                  // while on, no change of the MTU ends
  Atomic<int64_t> call_time_ns{0};   // of one filter call or one open; ends early when asked to stop
  Atomic<bool> tx_full{false};       // the ring has no room
  Atomic<bool> keeps_frames{false};  // what it is sent stays with it, until `give_back`
  Atomic<bool> wire_up{true};        // what change_carrier(true) comes to

  Atomic<uint32_t> filter_calls{0}, opens{0}, stops{0}, carrier_changes{0};
  Mutex lock{kClass};
  std::set<MacAddress> filter USERNIC_GUARDED_BY(lock);
  bool promisc USERNIC_GUARDED_BY(lock) = false;
  bool allmulti USERNIC_GUARDED_BY(lock) = false;

  SpinLock frames_lock{kFramesClass};
  std::vector<Frame> sent USERNIC_GUARDED_BY(frames_lock);
  std::deque<Frame> to_receive USERNIC_GUARDED_BY(frames_lock);
  SkbBatch kept USERNIC_GUARDED_BY(frames_lock);

  size_t kept_count() {
    SpinGuardBh guard(frames_lock);
    return kept.size();
  }
  void give_back() {
    keeps_frames.store(false);
    SpinGuardBh guard(frames_lock);
    while (Skb* const skb = kept.pop_front()) SkbPool::free(*skb);
  }

  size_t sent_count() {
    SpinGuardBh guard(frames_lock);
    return sent.size();
  }
  bool was_sent(const Frame& frame) {
    SpinGuardBh guard(frames_lock);
    return std::find(sent.begin(), sent.end(), frame) != sent.end();
  }
  bool holds(const MacAddress& address) {
    MutexGuard guard(lock);
    return filter.contains(address);
  }

  static constexpr LockClass kClass{"test_nic"};
  static constexpr LockClass kFramesClass{"test_nic_frames"};
};

class TestNicDriver {
 public:
  TestNicDriver(NetDevice& dev, TestNic& nic) : dev_(dev), nic_(nic), pool_(128, 9100), napi_(dev, *this) {}

  Result<> open() {
    busy();
    nic_.opens.fetch_add(1);
    if (!nic_.open_answer) return nic_.open_answer;
    napi_.enable();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    napi_.disable();
    nic_.stops.fetch_add(1);
    MutexGuard guard(nic_.lock);
    nic_.filter.clear();
    nic_.promisc = nic_.allmulti = false;
  }
  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a test may allocate here
      NetdevTx
      start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (queue.maybe_stop([&] { return nic_.tx_full.load() ? 0u : 1u; }, 1)) return NetdevTx::kBusy;
    {
      SpinGuard guard(nic_.frames_lock);
      nic_.sent.emplace_back(skb.bytes().begin(), skb.bytes().end());
      if (nic_.keeps_frames.load()) {
        nic_.kept.push_back(skb);
        return NetdevTx::kOk;
      }
    }
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    SkbBatch frames;
    {
      SpinGuard guard(nic_.frames_lock);
      while (!nic_.to_receive.empty() && static_cast<int>(frames.size()) < budget) {
        Skb* const skb = pool_.alloc();
        if (skb == nullptr) break;
        const TestNic::Frame& frame = nic_.to_receive.front();
        std::copy(frame.begin(), frame.end(), skb->put(static_cast<uint32_t>(frame.size())));
        frames.push_back(*skb);
        nic_.to_receive.pop_front();
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
    nic_.filter_calls.fetch_add(1);
    busy(plan.stop());
    while (RxCommand* command = plan.next()) {
      MutexGuard guard(nic_.lock);
      const bool on = command->kind == RxCommandKind::kAdd || command->kind == RxCommandKind::kWiden;
      if (command->object == RxObject::kPromisc)
        nic_.promisc = on;
      else if (command->object == RxObject::kAllmulti)
        nic_.allmulti = on;
      else if (on)
        nic_.filter.insert(command->address);
      else
        nic_.filter.erase(command->address);
      plan.answer(*command, {});
    }
  }
  Result<> change_mtu(uint32_t) {
    nic_.mtu_asked.store(true);
    nic_.mtu_stuck.wait_off();
    return nic_.mtu_answer;
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }
  Result<> change_carrier(bool on) {
    nic_.carrier_changes.fetch_add(1);
    if (!nic_.carrier_answer) return nic_.carrier_answer;
    const bool carrier = on && nic_.wire_up.load();
    carrier ? dev_.carrier_on() : dev_.carrier_off();
    return {};
  }

  // The wire brings a frame.
  void inject(TestNic::Frame frame) { inject_all({std::move(frame)}); }
  void inject_all(const std::vector<TestNic::Frame>& frames) {
    {
      SpinGuardBh guard(nic_.frames_lock);
      nic_.to_receive.insert(nic_.to_receive.end(), frames.begin(), frames.end());
    }
    napi_.schedule();
  }

 private:
  void busy(StopToken stop = current_stop_token()) {
    const Duration time(nic_.call_time_ns.load());
    if (time > Duration::zero()) stop.wait_until(Clock::now() + time);
  }

  NetDevice& dev_;
  TestNic& nic_;
  SkbPool pool_;
  Napi napi_;
};

}  // namespace usernic
