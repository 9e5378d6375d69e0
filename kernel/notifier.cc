// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/notifier.h"

#include <cerrno>
#include <string>

#include "kernel/rtnl.h"
#include "usernic/contract_report.h"

namespace usernic::kernel {
namespace {

// Reports what takes rtnl under rtnl: there the kernel waits for itself.
bool takes_rtnl_twice(const char* what, Place where) {
  if (!in_rtnl(init_net(where))) return false;
  report_contract("lock-twice", std::string(what) + " is called under rtnl, which it takes itself", where);
  return true;
}

}  // namespace

int register_netdevice_notifier(notifier_block* block, Place where) {
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

int unregister_netdevice_notifier(notifier_block* block, Place where) {
  if (takes_rtnl_twice("unregister_netdevice_notifier", where)) return -EDEADLK;
  rtnl_lock(where);
  notifier_chain& chain = init_net_is::chain(where);
  const int error = chain.remove(block);
  if (error == 0) chain.leave_all(block);
  rtnl_unlock(where);
  return error;
}

}  // namespace usernic::kernel
