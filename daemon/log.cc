// SPDX-License-Identifier: Apache-2.0 OR MIT
// The one file that includes spdlog: it gives a line its time and its colour.
#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "daemon/log_writer.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kBright = "\033[33m\033[1m", kPlain = "\033[m";
constexpr LockClass kLockClass{"log"};

class WriterSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit WriterSink(LogWriter& writer) : writer_(writer) {}
  std::string take_last() { return std::exchange(last_, {}); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string text(line.data(), line.size());
    last_ = text;
    if (colours_ && message.level == spdlog::level::warn) {
      text.insert(message.color_range_end, kPlain);
      text.insert(message.color_range_start, kBright);
    }
    writer_.add(std::move(text));
  }
  void flush_() override {}

  LogWriter& writer_;
  std::string last_;
  const bool colours_ = ::isatty(STDERR_FILENO) == 1;
};

struct Log {
  Log() { logger.set_pattern("%H:%M:%S.%e %^%l%$ %v"); }
  LogWriter writer{STDERR_FILENO};
  Mutex lock{kLockClass};
  const std::shared_ptr<WriterSink> sink = std::make_shared<WriterSink>(writer);
  spdlog::logger logger USERNIC_GUARDED_BY(lock){"usernic", sink};
  std::shared_ptr<LogWriter> also USERNIC_GUARDED_BY(lock);
};

// Never destroyed: its thread may be stuck in a write for as long as the process lives.
Log& the_log() {
  static Log& log = *new Log;
  return log;
}

void log(spdlog::level::level_enum level, std::string_view sentence) {
  Log& log = the_log();
  std::string line;
  std::shared_ptr<LogWriter> also;
  {
    MutexGuard guard(log.lock);
    log.logger.log(level, sentence);
    line = log.sink->take_last();
    also = log.also;
  }
  if (also != nullptr && !also->writes_here()) also->add(std::move(line));
}

}  // namespace

void log_also_to(std::shared_ptr<LogWriter> writer) {
  MutexGuard guard(the_log().lock);
  the_log().also = std::move(writer);
}

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
  Log& log = the_log();
  (void)log.writer.flush(deadline);
  std::shared_ptr<LogWriter> also;
  {
    MutexGuard guard(log.lock);
    also = log.also;
  }
  if (also != nullptr && !also->writes_here()) (void)also->flush(deadline);
}

}  // namespace usernic::daemon
