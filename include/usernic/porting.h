// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: for code that was written for the kernel (kernel/): what it does in halves, or by hand. A driver that was
// written for usernic does not need it.
#pragma once

#include <span>

#include "usernic/hw_addr_list.h"
#include "usernic/napi.h"
#include "usernic/net_device.h"
#include "usernic/rx_flags.h"
#include "usernic/rx_lists.h"
#include "usernic/work.h"

namespace usernic {

struct Porting {
  // NetDevice::register_netdev, with rtnl held. One that failed leaves the device UNREGISTERING; wait_any_unregistered,
  // without locks, then sleeps until the last reference is gone.
  static Result<> register_netdevice(NetDevice& dev, Place where = Place::current());
  // NetDevice::unregister_netdev in two steps, for devices that hold references on each other: start each, then wait
  // for them in the order in which they become free. False: a report, and nothing to wait for.
  static bool start_unregister(NetDevice& dev, Place where = Place::current());
  // Sleeps until one of them is not UNREGISTERING, and returns its index. Requires: one at least, all of one Net.
  static size_t wait_any_unregistered(std::span<NetDevice* const> devices, Place where = Place::current());
  // The destructor is called once: after unregister, when the last reference is gone, or by a register that failed
  // after init. It is not called for a device that was never registered, or whose name was taken. Set it before
  // registration, or under rtnl. [kernel: priv_destructor]
  static void set_priv_destructor(NetDevice& dev, void (*destructor)(NetDevice*)) noexcept;
  // Unregistering the device by the kernel's names frees it, too. A register that fails sets it to false. Set it as
  // above. [kernel: needs_free_netdev]
  static void set_needs_free(NetDevice& dev, bool on) noexcept;
  static bool needs_free(const NetDevice& dev) noexcept;

  // A queue's xmit lock at its nesting level, with BHs disabled: its start_xmit does not run. Context: process or BH.
  // [kernel: __netif_tx_lock_bh]
  static void lock_xmit(TxQueue& queue, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static bool try_lock_xmit(TxQueue& queue, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void unlock_xmit(TxQueue& queue) noexcept USERNIC_NONBLOCKING;
  // Between the two no start_xmit of the device runs, xmit sends nothing, and BHs are disabled. `thaw_tx` tells the
  // port that it can send again, but for stopped queues. One at a time; not from start_xmit. Context: process or BH.
  // [kernel: netif_tx_lock_bh, netif_tx_unlock_bh]
  static void freeze_tx(NetDevice& dev, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void thaw_tx(NetDevice& dev) noexcept USERNIC_NONBLOCKING;

  // The halves of Napi::schedule; the driver masks its interrupt in between. After true, schedule_prepared is owed.
  // [kernel: napi_schedule_prep, __napi_schedule]
  static bool schedule_prep(Napi& napi) noexcept USERNIC_NONBLOCKING { return napi.schedule_prep(); }
  static void schedule_prepared(Napi& napi) noexcept USERNIC_NONBLOCKING { napi.schedule_prepared(); }
  // Owned by somebody, or disabled.
  static bool scheduled(const Napi& napi) noexcept USERNIC_NONBLOCKING {
    return (napi.state_.load() & Napi::kSched) != 0;
  }

  // addr_list_lock, with BHs disabled, for bounded work: lists and flags do not change [kernel: netif_addr_lock_bh].
  // `lists` is a view of them and requires that lock; rx_lists.h says what it shows in a driver's rx-mode call.
  static void lock_lists(RxMode& mode, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void unlock_lists(RxMode& mode) noexcept USERNIC_NONBLOCKING;
  static RxLists lists(const RxMode& mode, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // A class of addresses as a HwAddrList to push from [kernel: dev->uc and dev->mc, for __dev_uc_sync and the like].
  // - The driver is of the legacy or the kernel's style, and runs: it is the list that its rx-mode calls are given. It
  //   may be used in such a call, under the instance lock (IL), on the lane, or with the lane parked. Elsewhere: a
  //   report.
  // - Otherwise it is a list with what is wanted now. The caller makes sure that nobody else uses it.
  // Requires: addr_list_lock not held.
  static HwAddrList& hw_list(RxMode& mode, AddressClass address_class, Place where = Place::current());
  // One reference on promiscuity, on allmulti, that is there while its flag is on, however often it is set. `switched`:
  // the flags that are on. EOVERFLOW: that flag stays as it is. Context: any but hard irq, addr_list_lock not held.
  // [kernel: dev->gflags]
  static Result<> switch_flags(RxMode& mode, RxFlags on);
  static RxFlags switched(const RxMode& mode);
  // For a driver that knows that it failed: it is called again after 1, 2, 4 .. 60 times the first delay. A call that
  // does not ask for it begins anew. `cancel_retry` takes it back.
  // [kernel: netif_rx_mode_schedule_retry, _cancel_retry]
  static void schedule_retry(RxMode& mode) noexcept USERNIC_NONBLOCKING;
  static void cancel_retry(RxMode& mode) noexcept USERNIC_NONBLOCKING;

  // Workqueue::queue_at for an item that is not pending; kAtOnce: now. False: the item is pending, or disabled.
  // [kernel: queue_work, queue_delayed_work]
  static bool queue_unless_pending(Workqueue& queue, Work& work, Time due = kAtOnce) noexcept USERNIC_NONBLOCKING;
  // Queues an item now that waits for its time. False: it does not wait. Context: any.
  static bool hurry(Work& work) noexcept USERNIC_NONBLOCKING;
};

}  // namespace usernic
// Explained best by: kernel/names_test.cc
