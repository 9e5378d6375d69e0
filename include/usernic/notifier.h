// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: notifiers, called under rtnl when something happens to a device.
//
// A notifier may refuse the kPre* events and kRegister: its error ends the operation, and notifiers that agreed before
// are not told. The answer to other events is ignored. [kernel: register_netdevice_notifier]
#pragma once

#include <boost/intrusive/list.hpp>
#include <functional>

#include "usernic/error.h"
#include "usernic/netdev_event.h"

namespace usernic {

class Net;
class NotifierChain;
struct NetDevice;

// Registered from construction to destruction; both take rtnl. The constructor tells of devices that are registered
// already, by kRegister and kUp, as in the kernel. Context: process, rtnl not held.
class Notifier {
 public:
  using Call = std::function<Result<>(NetdevEvent, NetDevice&)>;
  Notifier(Net& net, Call call);
  // Hears of that device alone, after those who hear of all. Requires: the device's memory outlives it (DeviceHandle).
  Notifier(NetDevice& dev, Call call);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

 private:
  friend class NotifierChain;
  void introduce(NetDevice& dev);
  Net& net_;
  NotifierChain& chain_;
  const Call call_;
  boost::intrusive::list_member_hook<> hook_;
};

}  // namespace usernic
// Explained best by: core/device/notifier_test.cc
