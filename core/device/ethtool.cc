// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver is asked without rtnl or the lane: under the instance lock alone.
#include "usernic/ethtool.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "usernic/contract_report.h"
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

// Of a struct of numbers the driver fills in each: in verifier mode they are bad when it gets them.
template <Ndo kNdo, class Numbers>
Result<Numbers> asked_for_numbers(NetDevice& dev) {
  static constexpr uint32_t kBad = 0xa5a5'a5a5;
  using Words = std::array<uint32_t, sizeof(Numbers) / sizeof(uint32_t)>;
  Words bad;
  bad.fill(kBad);
  const Result<Numbers> about = asked<kNdo>(dev, kVerifierOn ? std::bit_cast<Numbers>(bad) : Numbers());
  if (!kVerifierOn || !about) return about;
  Words words = std::bit_cast<Words>(*about);
  const auto left = std::ranges::find(words, kBad);
  if (left == words.end()) return about;
  report_contract(dev, "verifier-not-filled",
                  fmt::format("{} of '{}' succeeds and leaves number {} of its {} as it was", row_of(kNdo).op,
                              dev.name(), left - words.begin(), words.size()),
                  Place::current());
  std::ranges::replace(words, kBad, 0u);
  return std::bit_cast<Numbers>(words);
}

}  // namespace

Result<DriverInfo> driver_info(NetDevice& dev) {
  return asked<Ndo::kGetDrvinfo>(dev, DriverInfo{.driver = std::string(dev.driver_name())});
}
Result<LinkSettings> link_settings(NetDevice& dev) {
  return asked<Ndo::kGetLinkSettings, LinkSettings>(dev);
}
Result<RingParam> ring_param(NetDevice& dev) {
  return asked_for_numbers<Ndo::kGetRingparam, RingParam>(dev);
}
Result<Coalesce> coalesce(NetDevice& dev) {
  return asked_for_numbers<Ndo::kGetCoalesce, Coalesce>(dev);
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
