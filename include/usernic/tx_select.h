// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: which of a device's TX queues a frame goes to.
//
// The one that its driver's select_queue names; a driver without one leaves it to the sender, who knows the flow's, or
// to a hash of the flow (NetDevice::xmit).
#pragma once

#include "usernic/annotations.h"

namespace usernic {

struct NetDevice;

// Does its driver say? Context: any.
bool selects_queue(const NetDevice& dev) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/device/tx_select_test.cc
