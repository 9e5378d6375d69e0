// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: `usernic exec HOST -- COMMAND...`: the process becomes the command, inside a host.
//
// It enters the host's namespaces (host_entry.h), then a mount namespace of its own in which /sys is mounted afresh
// and so shows that host's interfaces; then it is replaced by the command, which keeps the process id.
#pragma once

#include "cli/command_line.h"

namespace usernic::cli {

// Returns only when the command could not start.
int exec(const Command& command);

}  // namespace usernic::cli
// Explained best by: tests/e2e
