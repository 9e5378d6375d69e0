// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: text for people that nobody may be reading: a full disk or a closed pipe is no reason to throw, and a pipe that
// nobody empties none to wait where there is something else to do.
#pragma once

#include <linux/limits.h>
#include <poll.h>

#include <cstdio>
#include <string_view>

namespace usernic::ctl {

inline void print(std::FILE* file, std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), file);
}

// Says nothing where that would wait for a reader. Requires: `file` is not buffered, as stderr.
inline void print_without_waiting(std::FILE* file, std::string_view text) noexcept {
  pollfd room{.fd = ::fileno(file), .events = POLLOUT, .revents = 0};
  // A pipe has room when it takes PIPE_BUF octets.
  if (text.size() <= PIPE_BUF && ::poll(&room, 1, 0) == 1) print(file, text);
}

// Everything that was printed so far has been taken.
inline bool all_printed(std::FILE* file) noexcept {
  return std::fflush(file) == 0 && std::ferror(file) == 0;
}

}  // namespace usernic::ctl
// Explained best by: ctl/print_test.cc
