// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: usernic as one of Wireshark's external capture programs (extcap), which asks for interfaces, link types and
// options, and then for a capture into a FIFO. docs/capture.md says how it is installed.
#pragma once

#include "cli/command_line.h"

namespace usernic::cli {

int extcap(const Command& command);

}  // namespace usernic::cli
// Explained best by: tests/e2e/capture_test.py
