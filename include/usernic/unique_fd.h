// SPDX-License-Identifier: Apache-2.0 OR MIT
// A file descriptor with one owner, who closes it.
//
// Locks: none. Context: closing a descriptor is a system call, so process.
#pragma once

#include <unistd.h>

#include <utility>

namespace usernic {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  // Takes it over; -1 is none.
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (const int old = std::exchange(fd_, fd); old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace usernic
// Explained best by: include/usernic/kick.h
