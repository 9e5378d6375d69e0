// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/stop_check.h"

#include <fmt/format.h>

#include "core/device/device.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

Napi* enabled_one(Device& dev) {
  SpinGuardBh guard(dev.napis_lock);
  for (Napi& napi : dev.napis) {
    if (napi.enabled()) return &napi;
  }
  return nullptr;
}

}  // namespace

void check_stopped(Device& dev, Place where) {
  while (Napi* const napi = enabled_one(dev)) {
    report_contract(
        dev, "napi-left-enabled",
        "stop leaves a NAPI instance enabled, which may poll a card that is off: stop disables each; the core "
        "does it now",
        where);
    napi->disable(where);
  }
  const uint32_t held = dev.frames_out != nullptr ? dev.frames_out->held() : 0;
  if (held == 0) return;
  report_contract(
      dev, "skb-kept",
      fmt::format("stop leaves {} frame{} with the driver, of those that start_xmit took: they cannot go out any "
                  "more, so stop frees them",
                  held, held == 1 ? "" : "s"),
      where);
}

}  // namespace usernic
