// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: stacked devices: one lower device under an upper one (a NIC under a VLAN, a macvlan, a bond).
//
//   upper (vlan, macvlan, bond...)  wants: uc, mc, promiscuity, allmulti, its own address, VLAN ids
//     | LowerLink, one a lower          every change goes down at once while the link is active
//   lower (a NIC, or an upper itself)
//
// The LowerLinks of a Net form a graph without loops, at most kStackMax devices high, which is changed under rtnl.
// While a LowerLink is *active*, the core passes on what the upper wants, change by change, in the caller's context:
// under the upper's addr_list_lock and, nested, the lower's. At most a chunk (64 entries over the whole stack) goes
// down that way; the upper's lane does the rest. Each LowerLink knows what it put on its lower and takes back exactly
// that: a lower that fails, is down or goes away neither blocks nor unbalances the others. An upper has at most 63
// lowers. The core unlinks a lower before it is unregistered, and everything below an upper that goes. [kernel:
// netdev_upper_dev_link, dev_uc_sync, dev_uc_sync_multiple, dev_uc_unsync, dev_set_promiscuity]
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "usernic/device_handle.h"
#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/skb.h"
#include "usernic/tx_queue.h"
#include "usernic/work.h"

namespace usernic {

inline constexpr int kStackMax = 8;  // devices above each other [kernel: MAX_NEST_DEV]

// What becomes of the VLAN ids that the upper is told of (RxMode::vlan_add). kPassed: the upper's frames keep their
// tags, so the lower gets the ids, too; whether it filters by them is its own affair (RxMode::set_vlan_filter). kInner:
// the upper takes off a tag, and its ids are those of the tags inside, at which no filter below looks. [kernel:
// vlan_vid_add]
enum class VlanIds : uint8_t { kPassed, kInner };

// The hw_features of an upper that sends by a LowerLink: frames go down the stack uncut and unsummed, and the core does
// right before the lowest device's driver what that does not. [kernel: NETIF_F_GSO_SOFTWARE]
inline constexpr Features kPassedDown = kSegmentation | Features{Feature::kTxSum};

class LowerLink {
 public:
  // `changed` is queued on `queue` (the upper's lane, say) after each change of the lower that an upper cares about: up
  // or down, carrier, MTU, own address, gone. It looks at the lower and does what is right. Both outlive the LowerLink.
  LowerLink(NetDevice& upper, Workqueue& queue, Work& changed, VlanIds vlan_ids = VlanIds::kPassed);
  ~LowerLink();  // unlinks; rtnl not held unless it is unlinked. Context: process.
  LowerLink(const LowerLink&) = delete;
  LowerLink& operator=(const LowerLink&) = delete;

  // Locks of these: rtnl held. Context: process.
  // Puts `lower` under the upper. ELOOP: it is the upper, or above it. EMLINK: more than kStackMax devices. EEXIST: it
  // is there already. EBUSY: this LowerLink has a lower. ENODEV: not registered. EINVAL: of another Net. ENOSPC: 63
  // lowers.
  Result<> link(NetDevice& lower);
  // Takes everything back, and returns when nobody sends through it any more. Nothing without a lower.
  void unlink();
  // Between the two the lower receives what the upper wants. An upper activates its LowerLinks while it is up, a bond
  // only that of the active slave. Both return with all lists passed on. Nothing without a lower.
  void activate();
  void deactivate();

  // The lower device; null when there is none. Requires: rtnl, or an xmit lock of the upper.
  NetDevice* lower() const noexcept USERNIC_NONBLOCKING;

  // For the upper's start_xmit of `queue`: sends the frame on the lower's queue of the same number. kDropped: there is
  // no lower, or it dropped the frame. The frames of one batch are kOk and go out together after the last one, with one
  // doorbell. What the lower drops then moves from the upper's count of sent frames to its drops. Frames for which the
  // lower's queue has no room wait in the upper's, a batch at most; the upper's queue sends nothing more
  // (TxQueue::xmit_stopped) until the lower's is woken. Of frames for two lowers, those for the second are dropped
  // then. The upper looks at the lower's carrier itself.
  NetdevTx xmit(Skb& skb, TxQueue& queue) noexcept USERNIC_NONBLOCKING;

 private:
  const std::unique_ptr<struct Link> link_;
};

// What is directly above / below a device. Locks: rtnl held.
std::vector<DeviceHandle> uppers_of(const NetDevice& dev);
std::vector<DeviceHandle> lowers_of(const NetDevice& dev);

// What all uppers do. Frames can go out by `lower`: it is up, present, and has carrier. Context: any.
bool is_usable(const NetDevice& lower) noexcept USERNIC_NONBLOCKING;
// The smallest MTU of the lowers, the most that the upper's may be; UINT32_MAX: it has none. Locks: rtnl held.
uint32_t mtu_below(const NetDevice& upper);
// For a `changed`. `look` does, under rtnl, what is right for the kind of upper, and says whether a lower can be used;
// while the upper is up, that becomes its carrier. Then the upper's MTU shrinks to mtu_below. Context: process, no
// locks, or an item of the upper's lane.
void inherit_from_lowers(NetDevice& upper, const std::function<bool()>& look);

}  // namespace usernic
// Explained best by: core/stack/lower_link_test.cc
