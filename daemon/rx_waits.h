// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: waiting for a card, and measuring it. Each function takes as long as it takes: they run as work items of
// `Waits`, never on the event loop, and return early when `stop` says so.
#pragma once

#include "ctl/messages.h"
#include "host/host_port.h"
#include "usernic/net_device.h"

namespace usernic::daemon {

// Until every address that the kernel wanted at `as_of`, and all wanted since, is covered and nothing is owed to the
// card, nor to those of the devices below. Without a port nobody but other devices wants anything. A device that is
// down may come up meanwhile. A deadline that is not after `as_of` leaves no time to look at the kernel's lists: then
// what is known counts.
ctl::WaitReport wait_covered(NetDevice& dev, HostPort* port, Time as_of, Time deadline, const StopToken& stop);

// Until `address` is wanted and the card passes it; an address that nobody wants counts once the card is promiscuous.
ctl::AddressReport wait_address(NetDevice& dev, const MacAddress& address, Time deadline, const StopToken& stop);

// Makes `changes` changes of the multicast list, one after the other and as fast as it goes, and measures what each
// one cost the changer; then waits until all are in effect. Leaves the list as it was.
ctl::BurstReport burst(NetDevice& dev, uint64_t changes, Time deadline, const StopToken& stop);

}  // namespace usernic::daemon
// Explained best by: tests/e2e
