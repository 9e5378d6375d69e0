// SPDX-License-Identifier: Apache-2.0
// daemon: what a running usernic has to say, on stderr, with time and weight; the tree's one door to spdlog.
#pragma once

#include <string_view>

namespace usernic::daemon {

// Any thread. One sentence each.
void log_info(std::string_view sentence);
void log_warning(std::string_view sentence);

}  // namespace usernic::daemon
