// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/init_net.h"

#include "usernic/contract_report.h"
#include "usernic/env.h"

namespace usernic::kernel {
namespace {

Atomic<init_net_is*> current{nullptr};

}  // namespace

init_net_is::init_net_is(Net& net) : net_(net), before_(current.exchange(this)), chain_(net) {}

init_net_is::~init_net_is() {
  current.store(before_);
}

init_net_is& init_net_is::here(Place where) {
  init_net_is* const here = current.load();
  if (here == nullptr)
    report_contract("no-init-net", "a name that means init_net is used without an init_net_is", where);
  return *here;
}

Net& init_net(Place where) {
  return init_net_is::here(where).net_;
}

}  // namespace usernic::kernel
