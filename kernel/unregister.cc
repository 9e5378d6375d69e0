// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/unregister.h"

#include <utility>

#include "usernic/contract_report.h"

namespace usernic::kernel {

namespace {

// Lists what leaves together. A device that is listed already is a report.
void unregister_together(std::span<net_device* const> devices, Place where) {
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

}  // namespace

void unregister_netdevice(net_device* dev, Place where) {
  net_device* const only[] = {dev};
  unregister_together(only, where);
}

void unregister_netdevice_many(list_head* head, Place where) {
  unregister_together(std::exchange(head->devices, {}), where);
}

void unregister_netdevice_queue(net_device* dev, list_head* head, Place where) {
  if (head == nullptr) return unregister_netdevice(dev, where);
  ASSERT_RTNL(where);
  std::erase(head->devices, dev);
  head->devices.push_back(dev);
}

void unregister_netdev(net_device* dev, Place where) {
  if (waits_under_rtnl(dev, "unregister_netdev", where)) return;
  rtnl_section::enter(dev->net(), where);
  const uint64_t run = rtnl_section::mine().run;
  if (!init_net_is::todo(where).add({.dev = dev, .run = run, .unregister = true})) {
    report_contract(*dev, "unregister-unregistered", "a device is unregistered a second time", where);
  }
  carry_out_todo(where);
}

void free_netdev(net_device* dev, Place where) {
  if (dev == nullptr) return;
  const bool frees_itself = Porting::needs_free(*dev);
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

}  // namespace usernic::kernel
