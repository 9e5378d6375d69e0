// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: lines on their way to where nobody may be reading: a descriptor, a station on the network.
//
// Whoever adds a line never waits for it to be written, and may hold whatever it likes: lines wait for a thread of the
// writer's own, kLinesMax of them. What finds no room, and what is refused (a full disk), is dropped and counted; the
// first line that is written afterwards says how many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/thread.h"

namespace usernic::daemon {

// How long an end waits for who reads.
inline constexpr Duration kPrintWait = std::chrono::seconds(1);

class LogWriter {
 public:
  static constexpr size_t kLinesMax = 1024;

  // Lines may be added from now on, and are written once it is started: to the descriptor, which stays the caller's, or
  // by `write`, on the thread called `name`. False: it is lost, or a part of it.
  using Write = std::function<bool(std::string_view lines)>;
  // What is written where so many lines are missing; a line, with its end.
  using Gap = std::string (*)(uint64_t lines);
  explicit LogWriter(int fd, Gap gap = gap_in_log);
  LogWriter(std::string name, Write write) : name_(std::move(name)), write_(std::move(write)) {}
  ~LogWriter() { end(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Nothing, once it is started. Throws std::system_error when the machine refuses a thread. Context: process, one at a
  // time.
  void start();
  // Sleeps until all is written, for ever where nobody reads (see `flush`); what is added afterwards never is.
  void end() USERNIC_EXCLUDES(lock_);
  // One or more lines, each with its end. Context: process; waits for nobody but other callers.
  void add(std::string lines) USERNIC_EXCLUDES(lock_);
  // Sleeps until everything added so far is written or dropped. False: some was dropped and nobody was told, or the
  // deadline has passed. Context: process.
  bool flush(Time deadline) USERNIC_EXCLUDES(lock_);
  // Is the caller the writer's own thread, or what that calls?
  bool writes_here() const noexcept;

 private:
  static constexpr LockClass kLockClass{"log_writer"};
  void write_loop();
  bool next(std::string& text, uint64_t& lines) USERNIC_EXCLUDES(lock_);
  void done(uint64_t refused) USERNIC_EXCLUDES(lock_);

  static std::string gap_in_log(uint64_t lines);

  const std::string name_;
  const Write write_;
  const Gap gap_ = gap_in_log;
  Mutex lock_{kLockClass};
  WaitQueue added_, written_;
  std::deque<std::string> lines_ USERNIC_GUARDED_BY(lock_);
  uint64_t dropped_ USERNIC_GUARDED_BY(lock_) = 0;  // since a line was written
  bool writing_ USERNIC_GUARDED_BY(lock_) = false;
  bool ending_ USERNIC_GUARDED_BY(lock_) = false;
  Thread thread_;
};

}  // namespace usernic::daemon
// Explained best by: daemon/log_writer_test.cc
