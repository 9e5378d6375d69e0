// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what every operation on a device begins and ends with.
//
// It parks the lane while it holds nothing, then takes rtnl, then the instance lock (IL); they are let go in the
// reverse order. So a device whose driver call takes seconds keeps its own callers waiting, without rtnl.
#pragma once

#include "core/device/device.h"
#include "core/device/net_impl.h"

namespace usernic {

// The three locks of an operation on one device.
struct OpLocks {
  OpLocks(Device& dev, Place where)
      : lane(dev.lane_queue, where), rtnl(dev.net_ref.rtnl(), 0, where), il(dev.instance_lock, 0, where) {}
  LaneGuard lane;
  MutexGuard rtnl;
  MutexGuard il;
};

inline Result<> check_usable(const Device& dev) {
  return dev.usable() ? Result<>() : fail(std::errc::no_such_device);
}

// Before something may happen: somebody may forbid it. Nothing has happened yet that devices above would look at.
inline Result<> ask(Device& dev, NetdevEvent event) {
  return call_notifiers(event, dev);
}
// After it has.
inline Result<> notify(Device& dev, NetdevEvent event) {
  const Result<> result = ask(dev, event);
  tell_uppers(dev);
  return result;
}

}  // namespace usernic
