// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: for tests, two interfaces on one cable in a namespace of the test's own, "left" and "right".
//
// An ordinary user's test program makes its own user namespace first; where that is forbidden the tests are skipped.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <string>

#include "bus/netif/interface.h"
#include "testing/user_namespace.h"
#include "usernic/env.h"

namespace usernic {

class VethTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!become_root() || ::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no right to make network namespaces here";
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
};

}  // namespace usernic
