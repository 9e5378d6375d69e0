// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: unregistering devices, one by one or many at once, and freeing them.
//
// Under rtnl it is rtnl_unlock that unregisters: until then the device is registered, and its name taken. What
// rtnl_unlock and unregister_netdev call under rtnl (a notifier, ndo_uninit) may list more; under the rtnl that
// anything else takes by itself that is a report, because nothing looks at the list when that is released.
#pragma once

#include <vector>

#include "kernel/rtnl.h"
#include "kernel/types.h"

namespace usernic::kernel {

// Devices that are to leave together, and nothing else.
struct list_head {
  std::vector<net_device*> devices;
};
#define LIST_HEAD(name) ::usernic::kernel::list_head name
inline void INIT_LIST_HEAD(list_head* head) {
  head->devices.clear();
}
inline bool list_empty(const list_head* head) {
  return head->devices.empty();
}

// These under rtnl. Of many all are closed first; the list is empty afterwards.
void unregister_netdevice(net_device* dev, Place where = Place::current());
void unregister_netdevice_many(list_head* head, Place where = Place::current());
// Only queued, for unregister_netdevice_many; a device that is on this list already moves to its end. NULL: now.
void unregister_netdevice_queue(net_device* dev, list_head* head, Place where = Place::current());
// Without rtnl.
void unregister_netdev(net_device* dev, Place where = Place::current());

// dev->priv_destructor and dev->needs_free_netdev, for a setup function, or under rtnl. The destructor is called once,
// after ndo_uninit when nobody holds a reference any more, without rtnl. Not by a register whose name is taken or whose
// ndo_init failed. A device that needs_free is freed with unregister_netdev, or rtnl_unlock;
// if its register fails it is the caller's to free, like any other.
inline void netdev_set_priv_destructor(net_device* dev, void (*destructor)(net_device*)) {
  Porting::set_priv_destructor(*dev, destructor);
}
inline void netdev_set_needs_free(net_device* dev, bool needs_free) {
  Porting::set_needs_free(*dev, needs_free);
}

// A registered device is a report, and unregistered first. One that goes with rtnl_unlock is freed by that. One that
// needs_free, once it leaves, is a report and freed once; so is one of the last few that were freed by these names.
void free_netdev(net_device* dev, Place where = Place::current());

}  // namespace usernic::kernel
