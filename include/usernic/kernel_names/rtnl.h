// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: rtnl, and the lives of devices under it.
//
// Nobody waits for a device's lane, or for its references, under rtnl (ARCHITECTURE.md): a stuck card would keep
// everybody waiting. So what has to wait is put off to rtnl_unlock, which does it while it holds nothing
// [kernel: netdev_run_todo]; and what cannot be put off, because it returns what came of it, is a report under rtnl.
#pragma once

#include "usernic/kernel_names/types.h"

namespace usernic::kernel_names {

// What this thread lists is its own to carry out: from rtnl_lock on, and while it carries out, because what it calls
// may list more. Known with checks off too.
struct rtnl_section {
  const Net* net;  // NULL: in none
  uint64_t run;    // its number in the todo_list

  static rtnl_section& mine() { return Local<rtnl_section, rtnl_section>::get(); }
  static void enter(const Net& net, Place where) { mine() = {&net, init_net_is::todo(where).new_run()}; }
};

inline void rtnl_lock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  init_net(where).rtnl().lock(0, where);
  rtnl_section::enter(init_net(where), where);
}
inline int rtnl_trylock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const bool got = init_net(where).rtnl().try_lock(where);
  if (got) rtnl_section::enter(init_net(where), where);
  return got;
}
inline void ASSERT_RTNL(Place where = Place::current()) {
  init_net(where).rtnl().assert_held(where);
}

// Under rtnl. What fails is free of the driver's calls when rtnl_unlock returns: free_netdev it before or afterwards.
inline int register_netdevice(net_device* dev, Place where = Place::current()) {
  const int error = error_of(dev->register_netdevice(where));
  const rtnl_section& mine = rtnl_section::mine();
  if (error != 0) (void)init_net_is::todo(where).add({.dev = dev, .run = mine.net == &dev->net() ? mine.run : 0});
  return error;
}
// Under rtnl. It is rtnl_unlock that unregisters: until then the device is registered, and its name taken. What
// rtnl_unlock and unregister_netdev call under rtnl (a notifier, ndo_uninit) may call it too; under the rtnl that
// anything else takes by itself it is a report, because nothing looks at the list when that is released.
inline void unregister_netdevice(net_device* dev, Place where = Place::current()) {
  ASSERT_RTNL(where);
  const rtnl_section& mine = rtnl_section::mine();
  if (mine.net != &dev->net()) {
    return report_contract("unregister-unseen",
                           "unregister_netdevice is called outside rtnl_lock .. rtnl_unlock, and of unregister_netdev: "
                           "nobody would carry it out; queue it on a work item that takes rtnl_lock",
                           where);
  }
  if (init_net_is::todo(where).add({.dev = dev, .run = mine.run, .unregister = true})) return;
  report_contract("unregister-unregistered", "a device is unregistered a second time", where);
}

// What this thread listed, and what that lists. References go in any order, up to a driver's destructor: so all leave
// before any is waited for, and each is freed as soon as it can be.
inline void carry_out_todo(Place where) {
  todo_list& todo = init_net_is::todo(where);
  const rtnl_section mine = rtnl_section::mine();
  while (const std::optional<todo_list::entry> next = todo.start_next(mine.net, mine.run)) {
    if (next->unregister) (void)next->dev->start_unregister(where);
  }
  rtnl_section::mine() = {};
  for (auto left = todo.started(mine.run); !left.empty(); left = todo.started(mine.run)) {
    NetDevice* const dev = left[NetDevice::wait_any_unregistered(left, where)];
    if (todo.remove(dev)) FreeNetdev()(dev);
  }
}
inline void rtnl_unlock(Place where = Place::current()) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  init_net(where).rtnl().unlock();
  carry_out_todo(where);
}

// Reports what must not be done under rtnl; true when it is held. With checks off, rtnl that the core took by itself
// (for a notifier, say) is not known.
inline bool waits_under_rtnl(net_device* dev, const char* what, Place where) {
  Net& net = dev->net();
  if (rtnl_section::mine().net != &net && !(kChecksOn && net.rtnl().held_by_me())) return false;
  const std::string text = std::string(what) +
                           " is called under rtnl: it waits for the device's lane first, and that is done while "
                           "holding nothing; call it without rtnl, or queue it on a work item";
  report_contract("wait-under-rtnl", text, where);
  return true;
}

}  // namespace usernic::kernel_names
