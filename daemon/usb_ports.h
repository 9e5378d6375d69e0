// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: USB: the port at a place in a config, and what drivers of USB devices are probed by.
#pragma once

#include <memory>

#include "bus/usb/location.h"
#include "daemon/drivers.h"

namespace usernic::daemon {

// The port there, with a model of its own where the place is an emulated one. Requires: a model that there is.
std::shared_ptr<usb::Port> usb_port(const usb::Location& location, simnic::Wires& wires);

// The driver that takes the device there.
Result<const Driver*> usb_driver_at(usb::Port& port);

// Asks again while somebody has the device: a server may not have seen yet that whoever looked has let go.
using UsbProbe = Result<NetdevPtr> (*)(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                       const usb::Wait& wait);
Result<NetdevPtr> probe_when_free(UsbProbe probe, const ProbeSite& site, const NetdevConfig& config);
template <UsbProbe kProbe>
Result<NetdevPtr> probe_usb(const ProbeSite& site, const NetdevConfig& config) {
  return probe_when_free(kProbe, site, config);
}

}  // namespace usernic::daemon
