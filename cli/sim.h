// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: `usernic sim`: the simulator is a program of its own, because it has a core of its own.
#pragma once

#include <string>
#include <vector>

namespace usernic::cli {

// Becomes usernic-sim, which lies beside this program. Returns kFailed when it cannot.
int sim(const std::vector<std::string>& arguments);

}  // namespace usernic::cli
