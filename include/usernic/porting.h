// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: for who ports kernel code, as kernel/ does: what the kernel has in halves, or by hand, and a driver of ours
// does not need.
#pragma once

#include <span>

#include "usernic/napi.h"
#include "usernic/net_device.h"
#include "usernic/work.h"

namespace usernic {

struct Porting {
  // NetDevice::register_netdev for who holds rtnl. A failed one leaves UNREGISTERING: `wait_any_unregistered`, without
  // locks, sleeps until the last reference is gone.
  static Result<> register_netdevice(NetDevice& dev, Place where = Place::current());
  // NetDevice::unregister_netdev in two steps, for several that hold references on each other: each is started, then
  // each is waited for in the order in which they become free. False: a report, and nothing to wait for.
  static bool start_unregister(NetDevice& dev, Place where = Place::current());
  // Sleeps until one is not UNREGISTERING: its index. Requires: one at least, all of one Net.
  static size_t wait_any_unregistered(std::span<NetDevice* const> devices, Place where = Place::current());
  // Called once: when an unregister is over and nobody holds a reference any more, or by a register that failed after
  // init; a device that was never registered, or whose name was taken, is freed without. Set before registration, or
  // under rtnl. [kernel: priv_destructor]
  static void set_priv_destructor(NetDevice& dev, void (*destructor)(NetDevice*)) noexcept;
  // Registered, it is nobody's: who unregisters it by the kernel's names has it freed. Off again when the register
  // fails. Set as above. [kernel: needs_free_netdev]
  static void set_needs_free(NetDevice& dev, bool on) noexcept;
  static bool needs_free(const NetDevice& dev) noexcept;

  // A queue's xmit lock at its nesting level, BHs disabled: nobody is in start_xmit. Context: process or BH. [kernel:
  // __netif_tx_lock_bh]
  static void lock_xmit(TxQueue& queue, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static bool try_lock_xmit(TxQueue& queue, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void unlock_xmit(TxQueue& queue) noexcept USERNIC_NONBLOCKING;
  // In between nobody is in start_xmit, of whatever queue, and xmit sends nothing; the port is told when it can again,
  // but for queues that are stopped. One at a time; BHs are disabled. Not from start_xmit. Context: process or BH.
  // [kernel: netif_tx_lock_bh, netif_tx_unlock_bh]
  static void freeze_tx(NetDevice& dev, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void thaw_tx(NetDevice& dev) noexcept USERNIC_NONBLOCKING;

  // The halves of Napi::schedule, for who masks the interrupt in between: `schedule_prepared` is owed after true.
  // [kernel: napi_schedule_prep, __napi_schedule]
  static bool schedule_prep(Napi& napi) noexcept USERNIC_NONBLOCKING { return napi.schedule_prep(); }
  static void schedule_prepared(Napi& napi) noexcept USERNIC_NONBLOCKING { napi.schedule_prepared(); }
  // Owned by somebody, or disabled.
  static bool scheduled(const Napi& napi) noexcept USERNIC_NONBLOCKING {
    return (napi.state_.load() & Napi::kSched) != 0;
  }

  // Holds lists and flags still, BHs disabled; bounded work only [kernel: netif_addr_lock_bh]. `lists` is a view of
  // them and requires that lock; what it shows in a driver's rx-mode call is in rx_lists.h.
  static void lock_lists(RxMode& mode, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void unlock_lists(RxMode& mode) noexcept USERNIC_NONBLOCKING;
  static RxLists lists(const RxMode& mode, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // A class of addresses as a list to push from. Not under lock_lists. Whose it is:
  // - A running driver of the legacy or the kernel's style: the list that its rx-mode call is given. It is the driver's
  //   own in that call, under the instance lock, and on or behind the lane. Elsewhere it is a report.
  // - Any other: a list that is brought up to date with what is wanted now. The caller sees to it that it is alone.
  // [kernel: dev->uc and dev->mc, for __dev_uc_sync and the like]
  static HwAddrList& hw_list(RxMode& mode, AddressClass address_class, Place where = Place::current());
  // One reference more of each that is on, and is there once however often it is said. `switched`: those that are.
  // EOVERFLOW: the one of the two stays as it is. Context: any but hard irq, lists not locked. [kernel: dev->gflags]
  static Result<> switch_flags(RxMode& mode, RxFlags on);
  static RxFlags switched(const RxMode& mode);
  // For a driver that knows it failed: it is called again after 1, 2, 4 .. 60 times the first delay, counted until a
  // call that does not ask. `cancel_retry` takes it back. [kernel: netif_rx_mode_schedule_retry, _cancel_retry]
  static void schedule_retry(RxMode& mode) noexcept USERNIC_NONBLOCKING;
  static void cancel_retry(RxMode& mode) noexcept USERNIC_NONBLOCKING;

  // Workqueue::queue_at of an item that is not pending, for whatever time; kAtOnce: now. False: it is, or is disabled.
  // [kernel: queue_work, queue_delayed_work]
  static bool queue_unless_pending(Workqueue& queue, Work& work, Time due = kAtOnce) noexcept USERNIC_NONBLOCKING;
  // An item that waits for its time is queued now. False: it does not wait. Context: any.
  static bool hurry(Work& work) noexcept USERNIC_NONBLOCKING;
};

}  // namespace usernic
// Explained best by: kernel/names_test.cc
