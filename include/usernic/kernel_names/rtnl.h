// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: rtnl, and the lives of devices under it.
//
// Nobody waits for a device's lane, or for its references, under rtnl (ARCHITECTURE.md): a stuck card would keep
// everybody waiting. So what has to wait is put off to rtnl_unlock, which does it while it holds nothing
// [kernel: netdev_run_todo]; and what cannot be put off, because it returns what came of it, is a report under rtnl.
#pragma once

#include "usernic/kernel_names/types.h"

namespace usernic::kernel_names {

inline void rtnl_lock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  init_net(where).rtnl().lock(0, where);
}
inline int rtnl_trylock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  return init_net(where).rtnl().try_lock(where);
}
inline void ASSERT_RTNL(Place where = Place::current()) {
  init_net(where).rtnl().assert_held(where);
}

// Under rtnl. What fails is free of the driver's calls when rtnl_unlock returns: free_netdev it before or afterwards.
inline int register_netdevice(net_device* dev, Place where = Place::current()) {
  const int error = error_of(dev->register_netdevice(where));
  if (error != 0) (void)init_net_is::todo(where).add({.dev = dev});
  return error;
}
// Under rtnl. It is rtnl_unlock that unregisters: until then the device is registered, and its name taken.
inline void unregister_netdevice(net_device* dev, Place where = Place::current()) {
  ASSERT_RTNL(where);
  if (init_net_is::todo(where).add({.dev = dev, .unregister = true})) return;
  report_contract("unregister-unregistered", "a device is unregistered a second time", where);
}

inline void rtnl_unlock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const std::vector<todo_list::entry> todo = init_net_is::todo(where).take();
  init_net(where).rtnl().unlock();
  for (const todo_list::entry& each : todo) {
    each.unregister ? each.dev->unregister_netdev(where) : each.dev->wait_unregistered(where);
    if (each.free) FreeNetdev()(each.dev);
  }
}

// Reports what must not be done under rtnl; true when it is held.
inline bool waits_under_rtnl(net_device* dev, const char* what, Place where) {
  if (!kChecksOn || !dev->net().rtnl().held_by_me()) return false;
  const std::string text = std::string(what) +
                           " is called under rtnl: it waits for the device's lane first, and that is done while "
                           "holding nothing; call it without rtnl, or queue it on a work item";
  report_contract("wait-under-rtnl", text, where);
  return true;
}

}  // namespace usernic::kernel_names
