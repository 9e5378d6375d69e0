// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/drivers.h"
#include "daemon/usb_ports.h"
#include "drivers/rtl8150/rtl8150.h"

namespace usernic::daemon {

extern const Driver kRtl8150Driver;
const Driver kRtl8150Driver{
    .name = "rtl8150",
    .help = "Realtek RTL8150, 10/100 Mb/s on USB",
    .mtu_max = Rtl8150::kMtuMax,
    .takes = Rtl8150::is_known,
    .probe = probe_usb<&Rtl8150::probe>,
};

}  // namespace usernic::daemon
