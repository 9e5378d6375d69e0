// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: what a device's flags are, for a driver and for a user, and changing them as a user.
//
// Promisc and allmulti are counted (rx_mode.h). One reference on each is the user's, the one that dev_change_flags
// turns on and off: dev_get_flags says whether it is there, netif_get_flags whether there is any.
#pragma once

#include "kernel/device.h"
#include "kernel/rtnl.h"
#include "kernel/types.h"
#include "usernic/rx_flags.h"
#include "usernic/rx_mode.h"

namespace usernic::kernel {

inline constexpr unsigned IFF_UP = 0x1, IFF_BROADCAST = 0x2, IFF_RUNNING = 0x40, IFF_PROMISC = 0x100,
                          IFF_ALLMULTI = 0x200, IFF_MULTICAST = 0x1000, IFF_LOWER_UP = 0x10000;

constexpr unsigned mask_of(RxFlags flags) {
  return (flags.promisc ? IFF_PROMISC : 0) | (flags.allmulti ? IFF_ALLMULTI : 0);
}
constexpr RxFlags rx_flags_of(unsigned mask) {
  return {.promisc = (mask & IFF_PROMISC) != 0, .allmulti = (mask & IFF_ALLMULTI) != 0};
}

// dev->flags, in any context. Promisc and allmulti are in a driver's rx-mode call what the call is to bring about, and
// in its ndo_open, ndo_change_rx_flags and ndo_stop what it was told: RxMode::promisc. IFF_UP is netif_running.
inline unsigned netif_get_flags(const net_device* dev) {
  unsigned flags = IFF_BROADCAST | IFF_MULTICAST;
  if (dev->running()) flags |= IFF_UP;
  if (dev->running() && dev->carrier_ok()) flags |= IFF_RUNNING;
  return flags | mask_of({.promisc = dev->rx_mode().promisc(), .allmulti = dev->rx_mode().allmulti()});
}

// As a user sees them. Not under netif_addr_lock.
inline unsigned dev_get_flags(const net_device* dev) {
  unsigned flags = netif_get_flags(dev) & ~(IFF_PROMISC | IFF_ALLMULTI);
  if (dev->running() && dev->carrier_ok()) flags |= IFF_LOWER_UP;
  return flags | mask_of(Porting::switched(dev->rx_mode()));
}

// Opens or closes it if IFF_UP is to change, and turns the user's promisc and allmulti on or off, which is done even if
// the open fails: what came of that is returned. The other flags are as they are. Under rtnl it is a report and
// -EDEADLK, and changes nothing.
inline int dev_change_flags(net_device* dev, unsigned flags, netlink_ext_ack* = nullptr,
                            Place where = Place::current()) {
  if (waits_under_rtnl(dev, "dev_change_flags", where)) return -EDEADLK;
  int error = 0;
  if (((flags ^ netif_get_flags(dev)) & IFF_UP) != 0) {
    if ((flags & IFF_UP) != 0)
      error = error_of(dev->open(where));
    else
      (void)dev->close(where);
  }
  (void)Porting::switch_flags(dev->rx_mode(), rx_flags_of(flags));
  return error;
}

}  // namespace usernic::kernel
