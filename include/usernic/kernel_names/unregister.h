// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: kernel names: unregistering devices, one by one or many at once, and freeing them.
//
// Under rtnl it is rtnl_unlock that unregisters: until then the device is registered, and its name taken. What
// rtnl_unlock and unregister_netdev call under rtnl (a notifier, ndo_uninit) may list more; under the rtnl that
// anything else takes by itself that is a report, because nothing looks at the list when that is released.
#pragma once

#include <span>
#include <vector>

#include "usernic/kernel_names/rtnl.h"
#include "usernic/kernel_names/types.h"

namespace usernic::kernel_names {

// Devices that are to leave together, and nothing else.
struct list_head {
  std::vector<net_device*> devices;
};
#define LIST_HEAD(name) ::usernic::kernel_names::list_head name
inline void INIT_LIST_HEAD(list_head* head) {
  head->devices.clear();
}
inline bool list_empty(const list_head* head) {
  return head->devices.empty();
}

// Lists what leaves together. A device that is listed already is a report.
inline void unregister_together(std::span<net_device* const> devices, Place where) {
  ASSERT_RTNL(where);
  todo_list& todo = init_net_is::todo(where);
  const rtnl_section& mine = rtnl_section::mine();
  const uint64_t batch = todo.new_number();
  for (net_device* dev : devices) {
    if (mine.net != &dev->net()) {
      report_contract(*dev, "unregister-unseen",
                      "unregister_netdevice is called outside rtnl_lock .. rtnl_unlock, and of unregister_netdev: "
                      "nobody would carry it out; queue it on a work item that takes rtnl_lock",
                      where);
    } else if (!todo.add({.dev = dev, .run = mine.run, .batch = batch, .unregister = true})) {
      report_contract(*dev, "unregister-unregistered", "a device is unregistered a second time", where);
    }
  }
}

// These under rtnl. Of many all are closed first; the list is empty afterwards.
inline void unregister_netdevice(net_device* dev, Place where = Place::current()) {
  net_device* const only[] = {dev};
  unregister_together(only, where);
}
inline void unregister_netdevice_many(list_head* head, Place where = Place::current()) {
  unregister_together(std::exchange(head->devices, {}), where);
}
// Only queued, for unregister_netdevice_many; a device that is on this list already moves to its end. NULL: now.
inline void unregister_netdevice_queue(net_device* dev, list_head* head, Place where = Place::current()) {
  if (head == nullptr) return unregister_netdevice(dev, where);
  ASSERT_RTNL(where);
  std::erase(head->devices, dev);
  head->devices.push_back(dev);
}
// Without rtnl.
inline void unregister_netdev(net_device* dev, Place where = Place::current()) {
  if (waits_under_rtnl(dev, "unregister_netdev", where)) return;
  rtnl_section::enter(dev->net(), where);
  const uint64_t run = rtnl_section::mine().run;
  if (!init_net_is::todo(where).add({.dev = dev, .run = run, .unregister = true})) {
    report_contract(*dev, "unregister-unregistered", "a device is unregistered a second time", where);
  }
  carry_out_todo(where);
}

// dev->priv_destructor and dev->needs_free_netdev, for a setup function, or under rtnl. The destructor is called once,
// after ndo_uninit when nobody holds a reference any more, without rtnl. Not by a register whose name is taken or whose
// ndo_init failed. A device that needs_free is freed with unregister_netdev, or rtnl_unlock;
// if its register fails it is the caller's to free, like any other.
inline void netdev_set_priv_destructor(net_device* dev, void (*destructor)(net_device*)) {
  dev->set_priv_destructor(destructor);
}
inline void netdev_set_needs_free(net_device* dev, bool needs_free) {
  dev->set_needs_free(needs_free);
}

// A registered device is a report, and unregistered first. One that goes with rtnl_unlock is freed by that. One that
// needs_free, once it leaves, is a report and freed once; so is one of the last few that were freed by these names.
inline void free_netdev(net_device* dev, Place where = Place::current()) {
  if (dev == nullptr) return;
  const bool frees_itself = dev->needs_free();
  const bool freed = dev->reg_state() == RegState::kReleased;
  const bool later = !freed && init_net_is::todo(where).free_later(dev);
  if (freed || (later && frees_itself)) {
    report_contract(*dev, "free-twice", "a device is freed that was freed, or frees itself (needs_free_netdev)", where);
  }
  if (freed || later) return;
  if (dev->reg_state() == RegState::kRegistered) {
    report_contract(*dev, "free-registered", "a registered device is freed", where);
  }
  const bool of_init_net = &dev->net() == &init_net(where);
  DeviceHandle last(*dev);
  FreeNetdev()(dev);
  if (of_init_net) init_net_is::todo(where).keep(std::move(last));
}

}  // namespace usernic::kernel_names
