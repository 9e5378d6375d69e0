// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/rtnl.h"

#include <string>

#include "usernic/contract_report.h"

namespace usernic::kernel {

rtnl_section& rtnl_section::mine() {
  return Local<rtnl_section, rtnl_section>::get();
}

void rtnl_section::enter(const Net& net, Place where) {
  mine() = {&net, init_net_is::todo(where).new_number()};
}

// References go in any order, up to a driver's destructor: so all leave before any is waited for, and each is freed as
// soon as it can be. Of a batch all are closed before one leaves.
void carry_out_todo(Place where) {
  todo_list& todo = init_net_is::todo(where);
  const rtnl_section mine = rtnl_section::mine();
  for (auto next = todo.start_next(mine.net, mine.run); !next.empty(); next = todo.start_next(mine.net, mine.run)) {
    for (const auto& each : next) {
      if (next.size() > 1) (void)each.dev->close(where);
    }
    for (const auto& each : next) {
      if (each.unregister) (void)Porting::start_unregister(*each.dev, where);
    }
  }
  rtnl_section::mine() = {};
  for (auto left = todo.started(mine.run); !left.empty(); left = todo.started(mine.run)) {
    NetDevice* const dev = left[Porting::wait_any_unregistered(left, where)];
    const bool frees_itself = Porting::needs_free(*dev) && dev->reg_state() == RegState::kUnregistered;
    if (!todo.start_free(dev, frees_itself)) continue;
    DeviceHandle freed(*dev);
    FreeNetdev()(dev);
    todo.keep(std::move(freed));
    todo.remove(dev);
  }
}

void rtnl_lock(Place where) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  init_net(where).rtnl().lock(0, where);
  rtnl_section::enter(init_net(where), where);
}

int rtnl_trylock(Place where) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const bool got = init_net(where).rtnl().try_lock(where);
  if (got) rtnl_section::enter(init_net(where), where);
  return got;
}

void rtnl_unlock(Place where) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  init_net(where).rtnl().unlock();
  carry_out_todo(where);
}

int register_netdevice(net_device* dev, Place where) {
  const int error = error_of(Porting::register_netdevice(*dev, where));
  const rtnl_section& mine = rtnl_section::mine();
  if (error != 0) (void)init_net_is::todo(where).add({.dev = dev, .run = mine.net == &dev->net() ? mine.run : 0});
  return error;
}

bool in_rtnl(Net& net) {
  return rtnl_section::mine().net == &net || (kChecksOn && net.rtnl().held_by_me());
}

bool waits_under_rtnl(net_device* dev, const char* what, Place where) {
  if (!in_rtnl(dev->net())) return false;
  const std::string text = std::string(what) +
                           " is called under rtnl: it waits for the device's lane first, and that is done while "
                           "holding nothing; call it without rtnl, or queue it on a work item";
  report_contract(*dev, "wait-under-rtnl", text, where);
  return true;
}

}  // namespace usernic::kernel
