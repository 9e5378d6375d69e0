// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what a driver's stop has to leave behind: no NAPI instance enabled, and, known while checks are on, none of the
// frames that start_xmit took [netdevices: after ndo_stop the hardware neither receives nor transmits].
#pragma once

#include "usernic/context.h"

namespace usernic {

struct Device;

// Reports what is not so, and disables what is enabled. Context: process, what `stop` is called under.
void check_stopped(Device& dev, Place where);

}  // namespace usernic
