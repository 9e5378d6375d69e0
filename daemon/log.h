// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what a running usernic has to say, on stderr, with time and weight; the tree's one door to spdlog.
//
// Nobody who logs waits for who reads, whatever it holds: see daemon/log_writer.h.
#pragma once

#include <memory>
#include <string_view>

#include "usernic/env.h"

namespace usernic::daemon {

class LogWriter;

// Any thread, in process context. One sentence each.
void log_info(std::string_view sentence);
void log_warning(std::string_view sentence);
// Why it ends, as every program says it: "usernic: SENTENCE".
void log_failure(std::string_view sentence);

// From now on each line goes to `writer`, too, without colours; not what its own writing says. Null: to nobody. Who is
// logging at this moment may still add a line to the one before.
void log_also_to(std::shared_ptr<LogWriter> writer);

// What was and will be said is written from here on; once is enough. Throws std::system_error without a thread.
void start_log();
// Sleeps until all is written, or the deadline: somebody may never read.
void end_log(Time deadline);

}  // namespace usernic::daemon
