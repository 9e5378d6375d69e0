// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what must hold between the parts of a config: unique names, hosts that exist.
#pragma once

#include "daemon/first_error.h"

namespace usernic::daemon {

struct Config;

void check_rules(const Config& config, FirstError& error);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
