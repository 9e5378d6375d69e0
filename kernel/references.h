// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: references on a device, and finding one by its name.
//
// A put too many is a report, as is a second hold by one tracker, which would lose the first.
#pragma once

#include "kernel/types.h"
#include "usernic/contract_report.h"
#include "usernic/device_ref.h"

namespace usernic::kernel {

using netdevice_tracker = DeviceRef;
using gfp_t = unsigned;
inline constexpr gfp_t GFP_KERNEL = 0, GFP_ATOMIC = 1;
inline void netdev_hold(net_device* dev, netdevice_tracker* tracker, gfp_t, Place where = Place::current()) {
  if (dev == nullptr) return;
  if (*tracker)
    return report_contract(*dev, "ref-held-twice", "a netdevice_tracker that holds a reference takes one", where);
  tracker->hold(*dev, "netdev_hold", where);
}
inline void netdev_put(net_device* dev, netdevice_tracker* tracker, Place where = Place::current()) {
  if (dev == nullptr) return;
  if (tracker->get() == dev) return tracker->put();
  report_contract(*dev, "ref-underflow", "a device's reference is put that its netdevice_tracker does not hold", where);
}
inline void dev_hold(net_device* dev) {
  if (dev != nullptr) hold_untracked(*dev);
}
inline void dev_put(net_device* dev, Place where = Place::current()) {
  if (dev != nullptr) put_untracked(*dev, where);
}
// With a reference, dev_put it; NULL: no registered device has the name.
inline net_device* dev_get_by_name(Net* net, const char* name) {
  const DeviceHandle found = net->find(name);
  if (!found) return nullptr;
  hold_untracked(*found);
  if (found->reg_state() == RegState::kRegistered) return found.get();
  put_untracked(*found);
  return nullptr;
}
inline net_device* netdev_get_by_name(Net* net, const char* name, netdevice_tracker* tracker, gfp_t flags) {
  net_device* const dev = dev_get_by_name(net, name);
  if (dev == nullptr) return nullptr;
  netdev_hold(dev, tracker, flags);
  dev_put(dev);
  return dev;
}

}  // namespace usernic::kernel
