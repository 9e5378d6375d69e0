// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: a NIC's frames, written to a file: `usernic capture`.
#pragma once

#include "cli/command_line.h"
#include "ctl/outcome.h"

namespace usernic::cli {

// Until interrupted, the count is reached, nobody reads the pipe any more, or the daemon ends it, which is a failure.
int capture(const Command& command);

// The same to `files`, and nothing said; for `extcap`. The sentence: why it ended otherwise.
class CaptureFiles;
ctl::Outcome<> capture_to(CaptureFiles& files, const Command& command);

}  // namespace usernic::cli
// Explained best by: tests/e2e/capture_test.py
