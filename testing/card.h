// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a card that is nothing but a filter, and a driver for it. Each command's fate is the test's choice.
#pragma once

#include <functional>
#include <vector>

#include "testing/held_filter.h"
#include "usernic/net.h"

namespace usernic {

// Under its mutex, except for what a test sets up before it starts.
class TestCard : public HeldFilter {
 public:
  RxFilterCaps caps{.unicast_slots = 4, .multicast_slots = 4, .multicast_hash_buckets = 16};
  Duration call_time{};  // of one driver call; ends early when asked to stop
  // Decides before a command is applied: ok, or the error to answer. `apply` may be set with an error.
  std::function<Result<>(const RxCommand&, bool& apply)> decide;
  std::function<void(const TestCard&)> after_command;  // under the mutex

  mutable Mutex mutex{kClass};
  uint32_t calls = 0;
  std::vector<RxCommand> log;

  bool accepts(const MacAddress& address) const { return HeldFilter::accepts(address, caps); }
  void reset() { static_cast<HeldFilter&>(*this) = {}; }

  Result<> execute(const RxCommand& command) {
    MutexGuard guard(mutex);
    log.push_back(command);
    bool apply = true;
    Result<> result;
    if (decide) {
      apply = false;
      result = decide(command, apply);
      apply = apply || result.has_value();
    }
    if (apply) {
      const Result<> applied = HeldFilter::apply(command, caps);
      if (result) result = applied;
    }
    if (after_command) after_command(*this);
    return result;
  }

 private:
  static constexpr LockClass kClass{"test_card"};
};

class TestDriver {
 public:
  TestDriver(NetDevice&, TestCard& card) : card_(card) {}

  Result<> open() {
    MutexGuard guard(card_.mutex);
    card_.reset();
    return {};
  }
  void stop() {
    MutexGuard guard(card_.mutex);
    card_.reset();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  RxFilterCaps rx_filter_caps() const { return card_.caps; }
  uint32_t rx_hash(AddressClass c, const MacAddress& address) const {
    const uint32_t buckets =
        c == AddressClass::kUnicast ? card_.caps.unicast_hash_buckets : card_.caps.multicast_hash_buckets;
    return TestCard::hash(address) % buckets;
  }
  void set_rx_mode_async(RxPlan& plan) {
    {
      MutexGuard guard(card_.mutex);
      ++card_.calls;
    }
    if (card_.call_time > Duration::zero()) (void)plan.stop().wait_until(Clock::now() + card_.call_time);
    while (RxCommand* command = plan.next()) plan.answer(*command, card_.execute(*command));
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }

 private:
  TestCard& card_;
};

}  // namespace usernic
