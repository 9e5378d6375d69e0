// SPDX-License-Identifier: Apache-2.0 OR MIT
// The one file that includes spdlog: it gives a line its time and its colour.
#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "daemon/log_writer.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kBright = "\033[33m\033[1m", kPlain = "\033[m";
constexpr LockClass kLockClass{"log"};

class WriterSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit WriterSink(LogWriter& writer) : writer_(writer) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string text(line.data(), line.size());
    if (colours_ && message.level == spdlog::level::warn) {
      text.insert(message.color_range_end, kPlain);
      text.insert(message.color_range_start, kBright);
    }
    writer_.add(std::move(text));
  }
  void flush_() override {}

  LogWriter& writer_;
  const bool colours_ = ::isatty(STDERR_FILENO) == 1;
};

struct Log {
  Log() { logger.set_pattern("%H:%M:%S.%e %^%l%$ %v"); }
  LogWriter writer{STDERR_FILENO};
  Mutex lock{kLockClass};
  spdlog::logger logger USERNIC_GUARDED_BY(lock){"usernic", std::make_shared<WriterSink>(writer)};
};

// Never destroyed: its thread may be stuck in a write for as long as the process lives.
Log& the_log() {
  static Log& log = *new Log;
  return log;
}

void log(spdlog::level::level_enum level, std::string_view sentence) {
  Log& log = the_log();
  MutexGuard guard(log.lock);
  log.logger.log(level, sentence);
}

}  // namespace

void log_info(std::string_view sentence) {
  log(spdlog::level::info, sentence);
}
void log_warning(std::string_view sentence) {
  log(spdlog::level::warn, sentence);
}
void log_failure(std::string_view sentence) {
  the_log().writer.add(fmt::format("usernic: {}\n", sentence));
}

void start_log() {
  the_log().writer.start();
}

void end_log(Time deadline) {
  (void)the_log().writer.flush(deadline);
}

}  // namespace usernic::daemon
