// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: hearing of what happens to init_net's devices, and refusing it.
//
//   static int my_event(struct notifier_block* nb, unsigned long event, void* ptr) {
//     struct net_device* dev = netdev_notifier_info_to_dev(ptr);
//     if (event == NETDEV_PRE_UP && dev == taken) return notifier_from_errno(-EBUSY);
//     return NOTIFY_DONE;
//   }
//   static struct notifier_block my_nb = {.notifier_call = my_event};
//
// A block is called under rtnl, as a Notifier is. An error is heard of NETDEV_REGISTER, NETDEV_PRE_UP,
// NETDEV_PRECHANGEMTU and NETDEV_PRE_CHANGEADDR; a program's own Notifiers are not among those that NOTIFY_STOP passes
// over. An event says which device, and no more: what it was and is, the device knows.
#pragma once

#include "kernel/notifier_chain.h"
#include "kernel/types.h"

namespace usernic::kernel {

inline net_device* netdev_notifier_info_to_dev(const void* info) {
  return static_cast<const netdev_notifier_info*>(info)->dev;
}
inline netlink_ext_ack* netdev_notifier_info_to_extack(const void* info) {
  return static_cast<const netdev_notifier_info*>(info)->extack;
}

// The block hears of the devices that are there before it returns, and may refuse: its error is returned, and it is not
// registered. -EEXIST: it is registered. -EDEADLK, a report: under rtnl. The block stays where it is until it is
// unregistered.
int register_netdevice_notifier(notifier_block* block, Place where = Place::current());
// The block hears that all devices go, and is called no more when this returns. -ENOENT: it is not registered. -EDEADLK
// as above.
int unregister_netdevice_notifier(notifier_block* block, Place where = Place::current());

}  // namespace usernic::kernel
