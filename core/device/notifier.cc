// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/notifier.h"

#include "core/device/device.h"
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

NotifierChain& chain_of(Device& dev) {
  MutexGuard rtnl(dev.net_ref.rtnl());
  if (dev.notifiers == nullptr) dev.notifiers = std::make_shared<NotifierChain>();
  return *dev.notifiers;
}

}  // namespace

Result<> NotifierChain::call(NetdevEvent event, NetDevice& dev) {
  for (Notifier& notifier : list_) {
    // One that finds no memory keeps nobody else from hearing of it.
    const Result<> result = refused_without_memory([&] { return notifier.call_(event, dev); });
    if (!result && may_be_refused(event)) return result;
  }
  return {};
}

Result<> call_notifiers(NetdevEvent event, Device& dev) {
  if (const Result<> result = dev.net_ref.impl().notifiers.call(event, dev); !result) return result;
  return dev.notifiers != nullptr ? dev.notifiers->call(event, dev) : Result<>();
}

void Notifier::introduce(NetDevice& dev) {
  if (call_(NetdevEvent::kRegister, dev) && dev.running()) (void)call_(NetdevEvent::kUp, dev);
}

// Added last: what comes before may throw, and under rtnl nothing happens meanwhile.
Notifier::Notifier(Net& net, Call call) : net_(net), chain_(net.impl().notifiers), call_(std::move(call)) {
  MutexGuard rtnl(net_.rtnl());
  for (const DeviceHandle& dev : net_.devices()) introduce(*dev);
  chain_.add(*this);
}

Notifier::Notifier(NetDevice& dev, Call call)
    : net_(dev.net()), chain_(chain_of(Device::of(dev))), call_(std::move(call)) {
  MutexGuard rtnl(net_.rtnl());
  if (dev.reg_state() == RegState::kRegistered) introduce(dev);
  chain_.add(*this);
}

Notifier::~Notifier() {
  MutexGuard rtnl(net_.rtnl());
  chain_.remove(*this);
}

}  // namespace usernic
