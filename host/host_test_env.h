// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the tests on a real kernel share: the right to make namespaces and TAPs, and running commands inside one.
//
// As root they run as they are. Otherwise the test program makes its own user namespace before its first thread; where
// that is forbidden, or /dev/net/tun cannot be opened, the tests are skipped with a sentence.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "host/netns.h"
#include "usernic/env.h"

namespace usernic {

class HostTestEnvironment : public testing::Environment {
 public:
  static inline bool can_make_namespaces = false;

  void SetUp() override {
    const uid_t uid = ::getuid();
    const gid_t gid = ::getgid();
    if (uid != 0) {
      if (::unshare(CLONE_NEWUSER) != 0) return;
      write_file("/proc/self/setgroups", "deny");
      write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
      write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    }
    can_make_namespaces = NetNamespace::create().has_value();
  }

 private:
  static void write_file(const char* path, const std::string& text) {
    const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    [[maybe_unused]] const auto written = ::write(fd.get(), text.data(), text.size());
  }
};

inline testing::Environment* const kHostTestEnvironment =
    testing::AddGlobalTestEnvironment(new HostTestEnvironment);  // gtest owns it

// Tests that need a network namespace of their own.
class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HostTestEnvironment::can_make_namespaces) GTEST_SKIP() << "no right to make network namespaces here";
  }
};

// Each gets a fresh one.
class NamespaceTest : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    if (IsSkipped()) return;
    auto fresh = NetNamespace::create();
    ASSERT_TRUE(fresh) << fresh.error().sentence;
    netns_.emplace(std::move(*fresh));
  }

  // Runs a shell command inside the namespace; what it prints. A failure of the command fails the test. An ordinary
  // user's PATH lacks an administrator's tools: `bridge`.
  std::string shell(const std::string& command) {
    std::string output;
    int status = -1;
    (void)netns_->run([&] {
      FILE* pipe = ::popen(("exec 2>&1; PATH=$PATH:/usr/sbin:/sbin; " + command).c_str(), "r");
      if (pipe == nullptr) return;
      for (char buffer[4096]; size_t n = std::fread(buffer, 1, sizeof buffer, pipe);) output.append(buffer, n);
      status = ::pclose(pipe);
    });
    EXPECT_EQ(status, 0) << command << ": " << output;
    return output;
  }

  // Waits for what another thread or the kernel brings about. False after so long that it never will, on any machine.
  template <class Condition>
  static bool eventually(Condition condition) {
    const Atomic<uint32_t> never{0};
    const Time deadline = Clock::now() + std::chrono::minutes(2);
    while (!condition()) {
      if (Clock::now() > deadline) return false;
      wait_on(never, 0, Clock::now() + std::chrono::milliseconds(1));
    }
    return true;
  }

  std::optional<NetNamespace> netns_;
};

// Tests that need /dev/net/tun as well.
class TapNamespaceTest : public NamespaceTest {
 protected:
  void SetUp() override {
    if (!UniqueFd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC))) GTEST_SKIP() << "/dev/net/tun cannot be opened";
    NamespaceTest::SetUp();
  }
};

}  // namespace usernic
