// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: an upper device over any number of lower ones, whose links are active while it is up.
#pragma once

#include <memory>
#include <vector>

#include "testing/watch.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"

namespace usernic {

class TestUpper {
 public:
  explicit TestUpper(NetDevice& dev, VlanIds vlan_ids = VlanIds::kPassed)
      : dev_(dev), vlan_ids_(vlan_ids), changed_([this] { changes.set(); }, &dev) {}
  ~TestUpper() { changed_.cancel_sync(); }

  // Context of these: process, rtnl not held.
  Result<> add(NetDevice& lower) {
    MutexGuard rtnl(dev_.net().rtnl());
    std::erase_if(links_, [](const auto& link) { return link->lower() == nullptr; });
    auto link = std::make_unique<LowerLink>(dev_, dev_.lane(), changed_, vlan_ids_);
    if (const Result<> linked = link->link(lower); !linked) return linked;
    if (dev_.running()) link->activate();
    links_.push_back(std::move(link));
    return {};
  }
  void remove(const NetDevice& lower) {
    MutexGuard rtnl(dev_.net().rtnl());
    for (auto& link : links_) {
      if (link->lower() == &lower) link->unlink();
    }
  }
  // Whether the link to a lower is active, at the test's choice.
  void activate(const NetDevice& lower, bool on) {
    MutexGuard rtnl(dev_.net().rtnl());
    for (auto& link : links_) {
      if (link->lower() == &lower) on ? link->activate() : link->deactivate();
    }
  }
  size_t lowers() {
    MutexGuard rtnl(dev_.net().rtnl());
    return lowers_of(dev_).size();
  }

  Result<> open() {
    for (auto& link : links_) link->activate();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {
    for (auto& link : links_) link->deactivate();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }

  Event changes;  // of lower devices

 private:
  NetDevice& dev_;
  const VlanIds vlan_ids_;
  Work changed_;
  std::vector<std::unique_ptr<LowerLink>> links_;  // under rtnl
};

// The same with a filter of its own, in which its own address takes a slot.
class SlotUpper : public TestUpper {
 public:
  using TestUpper::TestUpper;
  RxFilterCaps rx_filter_caps() const {
    return {.unicast_slots = 1024, .multicast_slots = 1024, .own_address_uses_slot = true};
  }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* const command = plan.next()) plan.answer(*command, {});
  }
};

}  // namespace usernic
