// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/drivers.h"
#include "daemon/usb_ports.h"
#include "drivers/cdc/cdc.h"

namespace usernic::daemon {

extern const Driver kCdcDriver;
const Driver kCdcDriver{
    .name = "cdc",
    .help = "USB network functions of a standard class: ECM, NCM, RNDIS",
    .mtu_max = Cdc::kMtuMax,
    .takes = Cdc::is_known,
    .probe = probe_usb<&Cdc::probe>,
};

}  // namespace usernic::daemon
