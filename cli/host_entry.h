// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: entering a host of a running usernic.
//
// The daemon hands out a host's namespaces as descriptors; nothing runs in the daemon, and nothing is left behind.
// The order matters: the user namespace first (it gives the right to enter the other), then the network namespace.
#pragma once

#include <string>

#include "ctl/outcome.h"
#include "usernic/unique_fd.h"

namespace usernic::cli {

struct HostNamespaces {
  UniqueFd user, net;
};

ctl::Outcome<HostNamespaces> ask_for_host(const std::string& socket, const std::string& host);

// PATH ends with the sbin folders then. Requires: the process has one thread, unless it is in the host's user namespace
// already.
ctl::Outcome<> enter(const HostNamespaces& namespaces);

}  // namespace usernic::cli
// Explained best by: tests/e2e
