// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/log_writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace usernic::daemon {

LogWriter::~LogWriter() {
  {
    MutexGuard guard(lock_);
    ending_ = true;
    added_.wake();
  }
  if (thread_.joinable()) thread_.join();
}

void LogWriter::start() {
  thread_ = Thread("usernic-log", [this] { write_loop(); });
}

void LogWriter::add(std::string lines) {
  MutexGuard guard(lock_);
  if (lines_.size() >= kLinesMax) {
    ++dropped_;
    return;
  }
  lines_.push_back(std::move(lines));
  added_.wake();
}

bool LogWriter::flush(Time deadline) {
  MutexGuard guard(lock_);
  while (!lines_.empty() || writing_) {
    if (!written_.wait(lock_, deadline)) return false;
  }
  return dropped_ == 0;
}

void LogWriter::write_loop() {
  std::string text;
  for (uint64_t lines = 0; next(text, lines);) done(write_all(text) ? 0 : lines);
}

// Sleeps until there is something to write; `lines`: how many are lost when it cannot be. False at the end.
bool LogWriter::next(std::string& text, uint64_t& lines) {
  MutexGuard guard(lock_);
  while (lines_.empty() && !ending_) added_.wait(lock_);
  if (lines_.empty()) return false;
  text = std::move(lines_.front());
  lines_.pop_front();
  lines = 1;
  // What was dropped is younger than what waited: the gap is behind the last of those.
  if (lines_.empty() && dropped_ != 0) {
    text += fmt::format("usernic: {} lines of the log were dropped here: nobody took them\n", dropped_);
    lines += std::exchange(dropped_, 0);
  }
  writing_ = true;
  return true;
}

void LogWriter::done(uint64_t refused) {
  MutexGuard guard(lock_);
  writing_ = false;
  dropped_ += refused;
  if (lines_.empty()) written_.wake();
}

// False when the descriptor refuses it, or a part of it.
bool LogWriter::write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd_, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno == EAGAIN) {  // somebody who shares it does not want to wait
      pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace usernic::daemon
