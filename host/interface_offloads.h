// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the kernel may leave undone on what an interface sends, as `ethtool -K` sets it.
//
// Locks: none. Context: process; the kernel takes rtnl. Errors: the kernel's errno.
#pragma once

#include <string>

#include "usernic/error.h"
#include "usernic/features.h"

namespace usernic {

// Of sums and cutting these, and nothing that our header (bus/netif/vnet_header.h) cannot say. Tags stay as they are.
// `door`: any socket of the interface's namespace.
Result<> set_interface_offloads(int door, const std::string& interface, Features on);

}  // namespace usernic
// Explained best by: host/veth_test.cc
