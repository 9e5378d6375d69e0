// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a device, as far as calling its driver goes: the driver's table, and the locks that an op may count on.
#pragma once

#include "usernic/driver.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"
#include "usernic/work.h"

namespace usernic {

struct NdoDevice {
  NetDevice& dev;
  const NetDeviceOps& ops;
  void* const& driver;
  Mutex& rtnl;
  Mutex& instance_lock;
  Workqueue& lane;
};

}  // namespace usernic
