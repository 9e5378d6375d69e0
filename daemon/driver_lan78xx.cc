// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/drivers.h"
#include "daemon/usb_ports.h"
#include "drivers/lan78xx/lan78xx.h"

namespace usernic::daemon {

extern const Driver kLan78xxDriver;
const Driver kLan78xxDriver{
    .name = "lan78xx",
    .help = "Microchip LAN7800, LAN7801 and LAN7850, gigabit Ethernet on USB",
    .mtu_max = Lan78xx::kMtuMax,
    .filters_vlans = [](const NicConfig&) { return true; },
    .takes = Lan78xx::is_known,
    .probe = probe_usb<&Lan78xx::probe>,
};

}  // namespace usernic::daemon
