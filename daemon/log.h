// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what a running usernic has to say, on stderr, with time and weight; the tree's one door to spdlog.
//
// Nobody who logs waits for who reads: see daemon/log_writer.h.
#pragma once

#include <functional>
#include <string_view>

#include "usernic/env.h"

namespace usernic::daemon {

// Any thread, in process context. One sentence each.
void log_info(std::string_view sentence);
void log_warning(std::string_view sentence);
// Why it ends, as every program says it: "usernic: SENTENCE".
void log_failure(std::string_view sentence);

// Hears of each line, with its end, as it is written without colours; on the thread of who logs. One at a time; when it
// returns the one before is not called any more.
void set_log_listener(std::function<void(std::string_view line)> listener);

// What was and will be said is written from here on. Once. Throws std::system_error without a thread.
void start_log();
// Sleeps until all is written, or the deadline: somebody may never read.
void end_log(Time deadline);

}  // namespace usernic::daemon
