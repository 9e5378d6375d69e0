// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver is asked without rtnl or the lane: under the instance lock alone.
#include "usernic/ethtool.h"

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "usernic/ioctl.h"

namespace usernic {
namespace {

template <Ndo kNdo, class T>
Result<> ask(NetDevice& net_device, T& about) {
  Device& dev = Device::of(net_device);
  const ReportsOn concerned(dev);
  MutexGuard il(dev.instance_lock);
  if (!dev.usable()) return fail(std::errc::no_such_device);
  return call_ndo<kNdo>(dev, about);
}

template <Ndo kNdo, class T>
Result<T> asked(NetDevice& dev, T about = {}) {
  const Result<> done = ask<kNdo>(dev, about);
  if (!done) return std::unexpected(done.error());
  return about;
}

}  // namespace

Result<DriverInfo> driver_info(NetDevice& dev) {
  return asked<Ndo::kGetDrvinfo>(dev, DriverInfo{.driver = std::string(dev.driver_name())});
}
Result<LinkSettings> link_settings(NetDevice& dev) {
  return asked<Ndo::kGetLinkSettings, LinkSettings>(dev);
}
Result<RingParam> ring_param(NetDevice& dev) {
  return asked<Ndo::kGetRingparam, RingParam>(dev);
}
Result<Coalesce> coalesce(NetDevice& dev) {
  return asked<Ndo::kGetCoalesce, Coalesce>(dev);
}
Result<> set_coalesce(NetDevice& dev, const Coalesce& wish) {
  return ask<Ndo::kSetCoalesce>(dev, wish);
}
Result<std::vector<NamedCounter>> named_counters(NetDevice& dev) {
  return asked<Ndo::kGetEthtoolStats, std::vector<NamedCounter>>(dev);
}
Result<std::vector<RegisterValue>> register_dump(NetDevice& dev) {
  return asked<Ndo::kGetRegs, std::vector<RegisterValue>>(dev);
}

}  // namespace usernic
