// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: USB: the port at a place in a config, and what drivers of USB devices are probed by.
#pragma once

#include <memory>

#include "bus/usb/location.h"
#include "daemon/drivers.h"

namespace usernic::daemon {

// The port there, with a model of its own where the place is an emulated one. Requires: a model that there is.
std::shared_ptr<usb::Port> usb_port(const usb::Location& location, simnic::Wires& wires);

// The device there. Asks again while somebody has it: a server may not have seen yet that whoever looked has let go.
Result<std::unique_ptr<usb::Device>> open_when_free(usb::Port& port);

inline constexpr Duration kUsbProbeMost = std::chrono::seconds(30);
using UsbProbe = Result<NetdevPtr> (*)(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                       std::unique_ptr<usb::Device> device, const usb::Wait& wait);
template <UsbProbe kProbe>
Result<NetdevPtr> probe_usb(const ProbeSite& site, const NetdevConfig& config) {
  return kProbe(site.net, config, site.port, std::move(site.card), {.deadline = Clock::now() + kUsbProbeMost});
}

}  // namespace usernic::daemon
