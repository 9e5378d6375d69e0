// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: promiscuity, running and retrying the rx mode, addr_list_lock. Flags: flags.h.
#pragma once

#include "kernel/types.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

namespace usernic::kernel {

// Counted: `inc` more, or fewer. -EOVERFLOW; -EINVAL below zero: nothing changed then.
template <class Set>
int count_by_ones(int inc, Set set) {
  const int one = inc < 0 ? -1 : 1;
  for (int done = 0; done != inc; done += one) {
    const int error = error_of(set(one));
    if (error == 0) continue;
    for (; done != 0; done -= one) (void)set(-one);
    return error;
  }
  return 0;
}
inline int dev_set_promiscuity(net_device* dev, int inc) {
  return count_by_ones(inc, [dev](int one) { return dev->rx_mode().set_promiscuity(one); });
}
inline int dev_set_allmulti(net_device* dev, int inc) {
  return count_by_ones(inc, [dev](int one) { return dev->rx_mode().set_allmulti(one); });
}
// Whether the instance lock is held matters here to neither; nobody is notified.
inline int netif_set_promiscuity(net_device* dev, int inc) {
  return dev_set_promiscuity(dev, inc);
}
inline int netif_set_allmulti(net_device* dev, int inc, bool /*notify*/) {
  return dev_set_allmulti(dev, inc);
}

// The lists stand still in between, BHs disabled.
inline void netif_addr_lock_bh(net_device* dev, Place where = Place::current()) {
  Porting::lock_lists(dev->rx_mode(), where);
}
inline void netif_addr_unlock_bh(net_device* dev) {
  Porting::unlock_lists(dev->rx_mode());
}
inline void netif_addr_lock(net_device* dev, Place where = Place::current()) {
  Porting::lock_lists(dev->rx_mode(), where);
}
// Every one of these is at the nesting level of its device.
inline void netif_addr_lock_nested(net_device* dev, Place where = Place::current()) {
  Porting::lock_lists(dev->rx_mode(), where);
}
inline void netif_addr_unlock(net_device* dev) {
  Porting::unlock_lists(dev->rx_mode());
}

// The driver is called soon, whatever changed. A plan (RxPlan) that would be empty is none.
inline void dev_set_rx_mode(net_device* dev) {
  dev->rx_mode().call_soon();
}
inline void __dev_set_rx_mode(net_device* dev) {
  dev->rx_mode().call_soon();
}
// The engine retries what failed by itself, and does not give up while the device is up: these are for a driver that
// knows more, and for who does not want to wait. A device is born initialised.
inline void netif_rx_mode_init(net_device*) {}
inline void netif_rx_mode_schedule_retry(net_device* dev) {
  Porting::schedule_retry(dev->rx_mode());
}
inline void netif_rx_mode_cancel_retry(net_device* dev) {
  Porting::cancel_retry(dev->rx_mode());
}
inline void netif_rx_mode_run(net_device* dev) {
  dev->rx_mode().retry_now();
}
// Sleeps until the update that is owed now was carried out, well or not. Context: process, neither rtnl nor IL held.
inline void netif_rx_mode_sync(net_device* dev, Place where = Place::current()) {
  dev->lane().flush(where);
}

}  // namespace usernic::kernel
