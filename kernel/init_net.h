// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: which Net the names without a device or queue mean, and what the names keep of it.
#pragma once

#include "kernel/notifier_chain.h"
#include "kernel/todo_list.h"
#include "usernic/context.h"
#include "usernic/net.h"

namespace usernic::kernel {

// It is that Net while one of these lives. Made and destroyed without rtnl.
class init_net_is {
 public:
  explicit init_net_is(Net& net);
  ~init_net_is();
  init_net_is(const init_net_is&) = delete;
  init_net_is& operator=(const init_net_is&) = delete;

  static todo_list& todo(Place where = Place::current()) { return here(where).todo_; }
  static notifier_chain& chain(Place where = Place::current()) { return here(where).chain_; }

 private:
  friend Net& init_net(Place);
  static init_net_is& here(Place where);

  Net& net_;
  init_net_is* const before_;
  todo_list todo_;
  notifier_chain chain_;
};
Net& init_net(Place where = Place::current());

}  // namespace usernic::kernel
