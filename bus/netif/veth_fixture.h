// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: for tests, two interfaces on one cable in a namespace of the test's own, "left" and "right".
//
// An ordinary user's test program makes its own user namespace first; where that is forbidden the tests are skipped.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "bus/netif/interface.h"
#include "usernic/env.h"
#include "usernic/unique_fd.h"

namespace usernic {

class VethTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter()) GTEST_SKIP() << "no right to make network namespaces here";
    shell("ip link add left mtu 9000 type veth peer name right mtu 9000");
    for (const char* end : {"left", "right"}) {
      shell("echo 1 >/proc/sys/net/ipv6/conf/" + std::string(end) + "/disable_ipv6");  // it would speak by itself
      shell("ip link set " + std::string(end) + " up");
    }
    until_open();
  }

  // The kernel opens an interface's queue some time after its carrier came, and drops what is sent before.
  static void until_open() {
    const Atomic<uint32_t> never{0};
    while (!find("left").state()->carrier || !find("right").state()->carrier) {
      wait_on(never, 0, Clock::now() + std::chrono::milliseconds(1));
    }
    shell("ip link set left up && ip link set right up");  // waits for who is at it
  }

  static void shell(const std::string& command) {
    const std::string line = "PATH=$PATH:/usr/sbin:/sbin; " + command;
    ASSERT_EQ(std::system(line.c_str()), 0) << command;
  }
  static Interface find(const std::string& name) { return *Interface::find(name); }

 private:
  static bool enter() {
    const uid_t uid = ::getuid();
    const gid_t gid = ::getgid();
    if (uid != 0) {
      if (::unshare(CLONE_NEWUSER) != 0) return false;
      write("/proc/self/setgroups", "deny");
      write("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
      write("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    }
    return ::unshare(CLONE_NEWNET) == 0;
  }
  static void write(const char* path, const std::string& text) {
    const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    [[maybe_unused]] const auto written = ::write(fd.get(), text.data(), text.size());
  }
};

}  // namespace usernic
