// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/notifier.h"

#include "core/device/net_impl.h"
#include "core/device/notifier_chain.h"

namespace usernic {
namespace {

bool may_be_refused(NetdevEvent event) {
  switch (event) {
    case NetdevEvent::kRegister:
    case NetdevEvent::kPreUp:
    case NetdevEvent::kPreChangeMtu:
    case NetdevEvent::kPreChangeAddr:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<> NotifierChain::call(NetdevEvent event, NetDevice& dev) {
  for (Notifier& notifier : list_) {
    const Result<> result = notifier.call_(event, dev);
    if (!result && may_be_refused(event)) return result;
  }
  return {};
}

Notifier::Notifier(Net& net, Call call) : net_(net), call_(std::move(call)) {
  MutexGuard rtnl(net_.rtnl());
  for (const DeviceHandle& dev : net_.devices()) {
    if (!call_(NetdevEvent::kRegister, *dev)) continue;
    if (dev->running()) (void)call_(NetdevEvent::kUp, *dev);
  }
  net_.impl().notifiers.add(*this);  // last: what comes before may throw, and under rtnl nothing happens meanwhile
}

Notifier::~Notifier() {
  MutexGuard rtnl(net_.rtnl());
  net_.impl().notifiers.remove(*this);
}

}  // namespace usernic
