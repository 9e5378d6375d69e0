// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: the signals that end usernic: SIGINT, SIGTERM and SIGHUP.
//
// The first is asked for, while usernic starts and while it serves, and everything is undone in order. One that comes
// while that is under way ends the process at once: the socket's files go, the kernel takes the interfaces and hosts.
//
// They are blocked in every thread; `EndAtOnce` opens the thread that it lives in. Made before the first thread.
#pragma once

#include "ctl/socket_path.h"
#include "usernic/unique_fd.h"

namespace usernic::daemon {

class EndingSignals {
 public:
  EndingSignals();
  // Readable when one has come; -1: the machine has no descriptor left.
  int fd() const noexcept { return fd_.get(); }
  // Has one come? Takes it: a second one is another.
  bool take() const noexcept;

 private:
  UniqueFd fd_;
};

// As long as it lives, an ending signal removes what the socket left in its folder, and kills the process.
// Requires: it does not outlive the socket; one at a time.
class EndAtOnce {
 public:
  explicit EndAtOnce(const ctl::ListeningSocket& socket) noexcept;
  ~EndAtOnce();
  EndAtOnce(const EndAtOnce&) = delete;
  EndAtOnce& operator=(const EndAtOnce&) = delete;
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
