// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a card that is nothing but a filter, and a driver for it. Each command's fate is the test's choice.
#pragma once

#include <functional>
#include <set>

#include "usernic/net.h"

namespace usernic {

// What the filter holds. Under its mutex, except for what a test sets up before it starts.
class TestCard {
 public:
  RxFilterCaps caps{.unicast_slots = 4, .multicast_slots = 4, .multicast_hash_buckets = 16};
  Duration call_time{};  // of one driver call; ends early when asked to stop
  // Decides before a command is applied: ok, or the error to answer. `apply` may be set with an error.
  std::function<Result<>(const RxCommand&, bool& apply)> decide;
  std::function<void(const TestCard&)> after_command;  // under the mutex

  mutable Mutex mutex{kClass};
  std::set<MacAddress> exact[2];
  std::set<uint32_t> buckets[2];
  std::set<uint16_t> vlans;
  bool promisc = false, allmulti = false, vlan_unfiltered = true;
  uint32_t calls = 0;
  std::vector<RxCommand> log;

  static uint32_t hash(const MacAddress& address) { return static_cast<uint32_t>(address.to_u64() * 2654435761u >> 7); }

  bool accepts(const MacAddress& address) const {
    const bool multicast = address.is_multicast();
    const uint32_t count = multicast ? caps.multicast_hash_buckets : caps.unicast_hash_buckets;
    return promisc || (multicast && allmulti) || exact[0].contains(address) || exact[1].contains(address) ||
           (count != 0 && buckets[multicast].contains(hash(address) % count));
  }
  void reset() {
    for (auto& each : exact) each.clear();
    for (auto& each : buckets) each.clear();
    vlans.clear();
    promisc = allmulti = false;
    vlan_unfiltered = true;
  }

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
      const Result<> applied = apply_locked(command);
      if (result) result = applied;
    }
    if (after_command) after_command(*this);
    return result;
  }

 private:
  static constexpr LockClass kClass{"test_card"};

  Result<> apply_locked(const RxCommand& command) {
    const bool on = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kAdd ||
                    command.kind == RxCommandKind::kSetBucket;
    switch (command.object) {
      case RxObject::kPromisc:
        promisc = on;
        break;
      case RxObject::kAllmulti:
        allmulti = on;
        break;
      case RxObject::kVlanUnfiltered:
        vlan_unfiltered = on;
        break;
      case RxObject::kVlan:
        return change(vlans, command.vlan, on, caps.vlan_slots);
      case RxObject::kUnicast:
      case RxObject::kMulticast: {
        const bool multicast = command.object == RxObject::kMulticast;
        if (command.kind == RxCommandKind::kSetBucket || command.kind == RxCommandKind::kClearBucket) {
          on ? (void)buckets[multicast].insert(command.bucket) : (void)buckets[multicast].erase(command.bucket);
          break;
        }
        uint32_t slots = multicast ? caps.multicast_slots : caps.unicast_slots;
        if (caps.shared_slots) slots = caps.unicast_slots - static_cast<uint32_t>(exact[!multicast].size());
        return change(exact[multicast], command.address, on, slots);
      }
    }
    return {};
  }
  template <class T>
  static Result<> change(std::set<T>& set, const T& item, bool on, size_t slots) {
    if (!on) {
      set.erase(item);
    } else if (!set.contains(item)) {
      if (set.size() >= slots) return fail(std::errc::no_space_on_device);
      set.insert(item);
    }
    return {};
  }
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
