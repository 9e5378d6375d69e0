// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: rtnl, and what it puts off until it is free. What is unregistered under it: unregister.h.
//
// Nobody waits for a device's lane, or for its references, under rtnl (ARCHITECTURE.md): a stuck card would keep
// everybody waiting. So what has to wait is put off to rtnl_unlock, which does it while it holds nothing
// [kernel: netdev_run_todo]; and what cannot be put off, because it returns what came of it, is a report under rtnl.
#pragma once

#include "kernel/init_net.h"
#include "kernel/types.h"

namespace usernic::kernel {

// What this thread lists is its own to carry out: from rtnl_lock on, and while it carries out, because what it calls
// may list more. Known with checks off too.
struct rtnl_section {
  const Net* net;  // NULL: in none
  uint64_t run;    // its number in the todo_list

  static rtnl_section& mine();
  static void enter(const Net& net, Place where);
};
// What this thread listed, and what that lists.
void carry_out_todo(Place where);

void rtnl_lock(Place where = Place::current());
int rtnl_trylock(Place where = Place::current());
void rtnl_unlock(Place where = Place::current());
inline void ASSERT_RTNL(Place where = Place::current()) {
  init_net(where).rtnl().assert_held(where);
}

// Under rtnl. What fails is free of the driver's calls when rtnl_unlock returns: free_netdev it before or afterwards.
int register_netdevice(net_device* dev, Place where = Place::current());

// Does this thread hold rtnl, or carry out what it put off? With checks off, rtnl that the core took by itself (for a
// notifier, say) is not known.
bool in_rtnl(Net& net);
// Reports what must not be done under rtnl; true when it is held.
bool waits_under_rtnl(net_device* dev, const char* what, Place where);

}  // namespace usernic::kernel
