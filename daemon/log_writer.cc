// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/log_writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace usernic::daemon {
namespace {

// False when the descriptor refuses it, or a part of it.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno == EAGAIN) {  // somebody who shares it does not want to wait
      pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

const LogWriter*& writer_here() {
  return Local<const LogWriter*, LogWriter>::get();
}

}  // namespace

LogWriter::LogWriter(int fd, Gap gap)
    : name_("usernic-log"), write_([fd](std::string_view lines) { return write_all(fd, lines); }), gap_(gap) {}

std::string LogWriter::gap_in_log(uint64_t lines) {
  return fmt::format("usernic: {} lines of the log were dropped here: nobody took them\n", lines);
}

void LogWriter::end() {
  {
    MutexGuard guard(lock_);
    ending_ = true;
    added_.wake();
  }
  if (thread_.joinable()) thread_.join();
}

void LogWriter::start() {
  if (!thread_.joinable()) thread_ = Thread(name_, [this] { write_loop(); });
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

bool LogWriter::writes_here() const noexcept {
  return writer_here() == this;
}

void LogWriter::write_loop() {
  writer_here() = this;
  std::string text;
  for (uint64_t lines = 0; next(text, lines);) done(write_(text) ? 0 : lines);
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
    text += gap_(dropped_);
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

}  // namespace usernic::daemon
