// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: nics on top of others: what must hold of them, and what follows from it.
//
// A nic that is over others comes after them, whatever their order in the file; without an `mtu` it has the smallest of
// theirs. Without `interface` a nic has one, unless it only serves another: another is over it, and nothing is said of
// where it is shown or which IP addresses it has there.
#pragma once

#include "daemon/first_error.h"

namespace usernic::daemon {

struct Config;

// What is wrong is noted; then the config is not to be used.
void settle_stacks(Config& config, FirstError& error);

}  // namespace usernic::daemon
// Explained best by: daemon/config_stacks_test.cc
