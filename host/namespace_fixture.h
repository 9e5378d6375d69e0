// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the tests on a real kernel share: the right to make namespaces and TAPs, and running commands inside one.
//
// As root they run as they are. Otherwise the test program makes its own user namespace before its first thread; where
// that is forbidden, or /dev/net/tun cannot be opened, the tests are skipped with a sentence.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "host/netns.h"
#include "testing/user_namespace.h"
#include "testing/watch.h"
#include "usernic/unique_fd.h"

namespace usernic {

class NamespaceEnvironment : public testing::Environment {
 public:
  static inline bool can_make_namespaces = false;

  void SetUp() override { can_make_namespaces = become_root() && NetNamespace::create().has_value(); }
};

inline testing::Environment* const kNamespaceEnvironment =
    testing::AddGlobalTestEnvironment(new NamespaceEnvironment);  // gtest owns it

// Tests that need a network namespace of their own.
class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!NamespaceEnvironment::can_make_namespaces) GTEST_SKIP() << "no right to make network namespaces here";
  }
};

inline bool can_open_tun() {
  return static_cast<bool>(UniqueFd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)));
}

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

  std::optional<NetNamespace> netns_;
};

// Tests that need /dev/net/tun as well.
class TapNamespaceTest : public NamespaceTest {
 protected:
  void SetUp() override {
    if (!can_open_tun()) GTEST_SKIP() << "/dev/net/tun cannot be opened";
    NamespaceTest::SetUp();
  }
};

}  // namespace usernic
