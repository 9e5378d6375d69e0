// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: for tests: while one lives, this process gets no new descriptor.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace usernic::ctl {

class NoMoreDescriptors {
 public:
  // `left`: so many are still to be had.
  explicit NoMoreDescriptors(int left = 0) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    int lowest_free = -1;
    int taken[8];
    for (int i = 0; i <= left; ++i) lowest_free = taken[i] = ::dup(STDERR_FILENO);
    for (int i = 0; i <= left; ++i) ::close(taken[i]);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest_free), .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace usernic::ctl
// Explained best by: ctl/event_loop_test.cc
