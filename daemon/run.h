// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: `usernic run`, in the foreground until SIGINT, SIGTERM or SIGHUP.
#pragma once

#include <string>

namespace usernic::daemon {

struct RunOptions {
  std::string config;  // a file; "" for the built-in one
  std::string socket;  // --socket; "" when not given
  int ready_fd = -1;   // gets one octet when everything is up, and is closed
};

// The exit code: 0 ended by a signal and undone, 1 could not start, 2 the config or --ready-fd makes no sense; then
// with one sentence on stderr and nothing started. Requires: the process has one thread.
int run(const RunOptions& options);

}  // namespace usernic::daemon
// Explained best by: tests/e2e
