// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the verbs that ask a running usernic and show what it says. Each returns the exit code.
#pragma once

#include "cli/command_line.h"
#include "ctl/client.h"

namespace usernic::cli {

int link(const Command& command);
// With --wait: 0 when every wanted address is covered, 1 with what is missing at the deadline.
int rx_mode(const Command& command);
int stats(const Command& command);
int attach(const Command& command);
int ethtool(const Command& command);
// Until interrupted, or the daemon ends.
int monitor(const Command& command);

// To the usernic that runs.
ctl::Outcome<ctl::Client> connect(const Command& command);

// One sentence on stderr; returns kFailed.
int failed(const std::string& sentence);
// kDone when all that was printed on stdout could be written; else failed().
int printed();

}  // namespace usernic::cli
// Explained best by: tests/e2e
