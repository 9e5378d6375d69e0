// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: kernel names: hearing of what happens to init_net's devices, and refusing it.
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

#include <cerrno>
#include <string>

#include "usernic/kernel_names/notifier_chain.h"
#include "usernic/kernel_names/rtnl.h"
#include "usernic/kernel_names/types.h"

namespace usernic::kernel_names {

inline net_device* netdev_notifier_info_to_dev(const void* info) {
  return static_cast<const netdev_notifier_info*>(info)->dev;
}
inline netlink_ext_ack* netdev_notifier_info_to_extack(const void* info) {
  return static_cast<const netdev_notifier_info*>(info)->extack;
}

// Reports what takes rtnl under rtnl: there the kernel waits for itself.
inline bool takes_rtnl_twice(const char* what, Place where) {
  if (!in_rtnl(init_net(where))) return false;
  report_contract("lock-twice", std::string(what) + " is called under rtnl, which it takes itself", where);
  return true;
}

// The block hears of the devices that are there before it returns, and may refuse: its error is returned, and it is not
// registered. -EEXIST: it is registered. -EDEADLK, a report: under rtnl. The block stays where it is until it is
// unregistered.
inline int register_netdevice_notifier(notifier_block* block, Place where = Place::current()) {
  if (takes_rtnl_twice("register_netdevice_notifier", where)) return -EDEADLK;
  rtnl_lock(where);
  notifier_chain& chain = init_net_is::chain(where);
  int error = chain.add(block);
  if (error == 0) {
    error = chain.introduce(block);
    if (error != 0) (void)chain.remove(block);
  }
  rtnl_unlock(where);
  return error;
}
// The block hears that all devices go, and is called no more when this returns. -ENOENT: it is not registered. -EDEADLK
// as above.
inline int unregister_netdevice_notifier(notifier_block* block, Place where = Place::current()) {
  if (takes_rtnl_twice("unregister_netdevice_notifier", where)) return -EDEADLK;
  rtnl_lock(where);
  notifier_chain& chain = init_net_is::chain(where);
  const int error = chain.remove(block);
  if (error == 0) chain.leave_all(block);
  rtnl_unlock(where);
  return error;
}

}  // namespace usernic::kernel_names
