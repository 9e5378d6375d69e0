// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: stacked devices: one lower device under an upper one (a NIC under a VLAN, a macvlan, a bond).
//
//   upper (vlan, macvlan, bond...)  wants: uc, mc, promiscuity, allmulti, its own address, VLAN ids
//     | LowerLink, one a lower          every change goes down at once while the link follows
//   lower (a NIC, or an upper itself)
//
// The links of a Net form a graph without loops, at most kStackMax devices high, changed under rtnl. While a link
// *follows*, the core passes on what the upper wants, change by change, in the context of who changed it: under the
// upper's addr_list_lock and, nested, the lower's. At most a chunk (64 entries over the whole stack) goes down that
// way; the rest is the upper's lane's. Each link knows what it put on its lower and takes back exactly that: a lower
// that fails, is down or goes away neither blocks nor unbalances the others. An upper has at most 63 lowers.
// A lower that is unregistered is unlinked by the core before it is gone; so is whatever is under an upper that goes.
// [kernel: netdev_upper_dev_link, dev_uc_sync, dev_uc_sync_multiple, dev_uc_unsync, dev_set_promiscuity]
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "usernic/device_ref.h"
#include "usernic/error.h"
#include "usernic/skb.h"
#include "usernic/tx_queue.h"
#include "usernic/work.h"

namespace usernic {

inline constexpr int kStackMax = 8;  // devices above each other [kernel: MAX_NEST_DEV]

// The VLAN ids that the upper is told of (RxMode::vlan_add). kPassed: its frames keep their tags on the way, so its ids
// are the lower's too; whether the lower filters by them stays the lower's affair (RxMode::set_vlan_filter). kInner: it
// takes off a tag of its own, and they are of the tags inside, at which no filter below looks. [kernel: vlan_vid_add]
enum class VlanIds : uint8_t { kPassed, kInner };

class LowerLink {
 public:
  // `changed` is queued on `queue` (the upper's lane, say) whenever something happened to the lower that an upper
  // cares about: up or down, carrier, MTU, own address, gone. It looks at the lower and does what is right. Both
  // outlive the link.
  LowerLink(NetDevice& upper, Workqueue& queue, Work& changed, VlanIds vlan_ids = VlanIds::kPassed);
  ~LowerLink();  // unlinks; rtnl not held unless it is unlinked. Context: process.
  LowerLink(const LowerLink&) = delete;
  LowerLink& operator=(const LowerLink&) = delete;

  // Locks of these: rtnl held. Context: process.
  // Puts `lower` under the upper. ELOOP: it is the upper, or above it. EMLINK: more than kStackMax devices. EEXIST: it
  // is there already. EBUSY: this link is in use. ENODEV: not registered. EINVAL: of another Net. ENOSPC: 63 lowers.
  Result<> link(NetDevice& lower);
  // Takes everything back, and returns when nobody sends through the link any more. Nothing when it is not linked.
  void unlink();
  // From now on, until `unfollow`, the lower receives what the upper wants. An upper follows while it is up; of a bond
  // only the active link does. Both return with all lists passed on. Nothing when it is not linked.
  void activate();
  void deactivate();

  // The lower device; null when there is none. Requires: rtnl, or an xmit lock of the upper.
  NetDevice* lower() const noexcept USERNIC_NONBLOCKING;

  // From the upper's start_xmit of `queue`: sends the frame on the lower's queue of that number. kDropped: there is no
  // lower, or it dropped the frame. Frames of one batch are kOk and go out together, with one doorbell, after the last
  // one: then what the lower drops leaves the upper's counts for its drops. What the lower's queue has no room for
  // waits in the upper's, a batch at most, which sends nothing more (TxQueue::xmit_stopped) until the lower's is woken;
  // of frames for two lowers, those for the second are dropped then. The lower's carrier is the upper's to look at.
  NetdevTx xmit(Skb& skb, TxQueue& queue) noexcept USERNIC_NONBLOCKING;

 private:
  const std::unique_ptr<struct Link> link_;
};

// What is directly above / below a device. Locks: rtnl held.
std::vector<DeviceHandle> uppers_of(const NetDevice& dev);
std::vector<DeviceHandle> lowers_of(const NetDevice& dev);

// What uppers do the same. Frames can go out by it: up, present, with carrier. Context: any.
bool is_usable(const NetDevice& lower) noexcept USERNIC_NONBLOCKING;
// The smallest MTU of the lowers, above which the upper's may not be; UINT32_MAX: it has none. Locks: rtnl held.
uint32_t mtu_below(const NetDevice& upper);
// What a `changed` does: `look` does what is right for the kind of upper, under rtnl, and says whether a lower can be
// used; while the upper is up that is its carrier. Then its MTU shrinks to mtu_below. Context: process, no locks, or an
// item of the upper's lane.
void inherit_from_lowers(NetDevice& upper, const std::function<bool()>& look);

}  // namespace usernic
// Explained best by: core/stack/lower_link_test.cc
