// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: `usernic demo`, the guided tour: about ten seconds, then it ends by itself.
//
//   1 two hosts, a card in each, one wire        4 a burst of changes against a slow card
//   2 the kernel's own ping across               5 a filter too small, and not one wanted frame lost
//   3 what the kernel wants is programmed        6 what to try next
//
// It starts a usernic of its own and touches nothing else on the machine. Everything it changes, it changes as a user
// would: with the kernel's tools and with sockets.
#pragma once

#include <string>

namespace usernic::cli {

// `json`: one object on stdout and nothing else. `program`: how the reader can call usernic. Returns the exit code: 1
// when something did not go as it should.
int demo(bool json, const std::string& program);

}  // namespace usernic::cli
// Explained best by: tests/e2e
