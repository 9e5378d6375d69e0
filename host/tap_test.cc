// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap.h"

#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstring>

#include "host/namespace_fixture.h"

namespace usernic {
namespace {

using TapTest = TapNamespaceTest;

TEST_F(TapTest, TheInterfaceLivesAsLongAsTheDescriptor) {
  {
    auto tap = Tap::create(*netns_, "tap0");
    ASSERT_TRUE(tap) << tap.error().sentence;
    EXPECT_NE(shell("ip -o link").find("tap0"), std::string::npos);
  }
  EXPECT_TRUE(eventually([&] { return shell("ip -o link").find("tap0") == std::string::npos; }));
}

TEST_F(TapTest, ANameInUseIsSaidInASentence) {
  auto first = Tap::create(*netns_, "tap0");
  ASSERT_TRUE(first);
  const std::pair<const char*, const char*> taken[] = {{"tap0", "a TAP that another program has open"},
                                                       {"lo", "an interface that is no TAP"}};
  for (const auto& [name, by] : taken) {
    auto second = Tap::create(*netns_, name);
    ASSERT_FALSE(second) << name;
    EXPECT_EQ(second.error().error, std::errc::device_or_resource_busy) << second.error().sentence;
    EXPECT_EQ(second.error().sentence, std::string("cannot make interface \"") + name +
                                           "\": the name is in use in that network namespace, by " + by);
  }
}

TEST_F(TapTest, WhatIsNoNameIsRefused) {
  for (const char* name : {"", ".", "a/b", "a:b", "a b", "tap%d", "sixteen-letters-"}) {
    auto tap = Tap::create(*netns_, name);
    ASSERT_FALSE(tap) << name;
    EXPECT_EQ(tap.error().error, std::errc::invalid_argument) << name;
    EXPECT_NE(tap.error().sentence.find("is not a name of an interface"), std::string::npos) << tap.error().sentence;
  }
}

TEST_F(TapTest, CarriesFramesBothWays) {
  auto tap = Tap::create(*netns_, "tap0");
  ASSERT_TRUE(tap);
  const uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
  EXPECT_EQ(tap->queue(0).write(frame).error(), std::errc::io_error) << "down";
  ASSERT_TRUE(tap->set_carrier(true));
  shell("sysctl -qw net.ipv6.conf.tap0.disable_ipv6=0; ip link set tap0 up");
  ASSERT_TRUE(tap->queue(0).write(frame));
  EXPECT_NE(shell("ip -s -o link show tap0").find("60"), std::string::npos);

  // The kernel sends on its own when an interface comes up (MLD, router solicitations).
  pollfd ready{tap->queue(0).fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  uint8_t buffer[2000];
  auto size = tap->queue(0).read(buffer);
  ASSERT_TRUE(size);
  EXPECT_GE(*size, 42u);
}

TEST_F(TapTest, ReadingWithoutAFrameDoesNotSleep) {
  auto tap = Tap::create(*netns_, "tap0");
  ASSERT_TRUE(tap);
  uint8_t buffer[64];
  EXPECT_EQ(tap->queue(0).read(buffer).error(), std::errc::resource_unavailable_try_again);
}

TEST_F(TapTest, CarrierIsShownByTheKernel) {
  auto tap = Tap::create(*netns_, "tap0");
  ASSERT_TRUE(tap);
  shell("ip link set tap0 up");
  ASSERT_TRUE(tap->set_carrier(false));
  EXPECT_NE(shell("ip -o link show tap0").find("NO-CARRIER"), std::string::npos);
  ASSERT_TRUE(tap->set_carrier(true));
  EXPECT_EQ(shell("ip -o link show tap0").find("NO-CARRIER"), std::string::npos);
}

TEST_F(TapTest, ADeletedInterfaceIsNoticedByTheReader) {
  auto tap = Tap::create(*netns_, "tap0");
  ASSERT_TRUE(tap);
  shell("ip link del tap0");
  uint8_t buffer[64];
  const auto read = tap->queue(0).read(buffer);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error(), std::errc::resource_unavailable_try_again);
}

// What was received by a queue is answered by that queue, whatever the hash of its flow.
TEST_F(TapTest, TheKernelSendsAFlowByTheQueueThatItCameBy) {
  auto tap = Tap::create(*netns_, "tap0", 3);
  ASSERT_TRUE(tap) << tap.error().sentence;
  ASSERT_EQ(tap->queue_count(), 3u);
  ASSERT_TRUE(tap->set_carrier(true));
  shell(
      "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1; ip link set tap0 address 02:00:00:00:00:01 up; "
      "ip addr add 10.9.0.1/24 dev tap0; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev tap0");
  for (const size_t queue : {2, 0, 1, 2}) {
    const uint8_t echo[60] = {2, 0, 0, 0,  0, 1,    2,    0,  0, 0, 0, 2,  8, 0, 0x45, 0, 0, 28,   0,
                              0, 0, 0, 64, 1, 0x66, 0xcd, 10, 9, 0, 2, 10, 9, 0, 1,    8, 0, 0xf7, 0xff};
    // The first one is answered before the kernel notes by which queue it came.
    ASSERT_TRUE(tap->queue(queue).write(echo));
    for (size_t i = 0; i < 3; ++i) {
      uint8_t buffer[2000];
      while (tap->queue(i).read(buffer)) {
      }
    }
    ASSERT_TRUE(tap->queue(queue).write(echo));
    pollfd ready[3];
    for (size_t i = 0; i < 3; ++i) ready[i] = {tap->queue(i).fd(), POLLIN, 0};
    ASSERT_EQ(::poll(ready, 3, 60'000), 1);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ((ready[i].revents & POLLIN) != 0, i == queue) << i;
    uint8_t buffer[2000];
    ASSERT_TRUE(tap->queue(queue).read(buffer));
    EXPECT_EQ(buffer[34], 0) << "an echo reply";
  }
  ASSERT_TRUE(tap->set_carrier(false));
  EXPECT_NE(shell("ip -o link show tap0").find("NO-CARRIER"), std::string::npos);
  tap->close();
  EXPECT_TRUE(eventually([&] { return shell("ip -o link").find("tap0") == std::string::npos; }));
}

TEST_F(TapTest, APersistentOneMustHaveBeenMadeForAsManyQueues) {
  shell("ip tuntap add dev one mode tap; ip tuntap add dev many mode tap multi_queue");
  const auto why_not = [&](const char* name, uint16_t queues) {
    const auto tap = Tap::create(*netns_, name, queues);
    return tap ? std::string(tap->persistent() ? "persistent" : "new") : tap.error().sentence;
  };
  const std::string in_use = "the name is in use in that network namespace, by a TAP of ";
  EXPECT_EQ(why_not("one", 1), "persistent");
  EXPECT_EQ(why_not("one", 2),
            "cannot make interface \"one\": " + in_use +
                "one queue, and the NIC has 2 TX queues: one that is made with multi_queue would fit");
  EXPECT_EQ(why_not("many", 4), "persistent");
  EXPECT_EQ(why_not("many", 1),
            "cannot make interface \"many\": " + in_use +
                "several queues, and the NIC has one TX queue: one that is made without multi_queue would fit");
  auto others = Tap::create(*netns_, "many", 2);
  ASSERT_TRUE(others);
  EXPECT_EQ(why_not("many", 2),
            "cannot make interface \"many\": the name is in use in that network namespace, by a "
            "TAP that another program has open");
  others->close();
  EXPECT_EQ(why_not("many", 2), "persistent");
}

// It keeps the header and the carrier that its program has given it, which are of the whole interface.
TEST_F(TapTest, OneOfSeveralQueuesThatAnotherProgramHasOpenIsLeftAlone) {
  shell("ip tuntap add dev many mode tap multi_queue");
  UniqueFd others;
  constexpr int kHeader = 12;
  const auto ask = [&](unsigned long what, void* answer) { return ::ioctl(others.get(), what, answer) == 0; };
  ASSERT_TRUE(netns_->run([&] {
    others.reset(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE;
    std::strcpy(request.ifr_name, "many");
    EXPECT_TRUE(ask(TUNSETIFF, &request));
  }));
  int header = kHeader, on = 1;
  ASSERT_TRUE(ask(TUNSETVNETHDRSZ, &header) && ask(TUNSETCARRIER, &on));
  shell("ip link set many up");
  EXPECT_FALSE(Tap::create(*netns_, "many", 2));
  EXPECT_TRUE(ask(TUNGETVNETHDRSZ, &header));
  EXPECT_EQ(header, kHeader);
  EXPECT_FALSE(shell("ip -o link show many").contains("NO-CARRIER"));
}

// An ordinary user's own namespaces give no right to a node that is not open to all.
TEST_F(TapTest, ANodeThatIsNotOpenToAllIsSaidInASentenceThatHelps) {
  struct stat node {};
  ASSERT_EQ(::stat("/dev/net/tun", &node), 0);
  if (::getuid() != 0 || (node.st_mode & S_IWOTH) != 0) GTEST_SKIP() << "needs root, and a node of mode 0600";
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
    const auto tap = Tap::create(*NetNamespace::current(), "tap0");
    const std::string sentence = tap ? "" : tap.error().sentence;
    ::_exit(::write(ends[1], sentence.data(), sentence.size()) > 0 ? 0 : 1);
  }
  ::close(ends[1]);
  char text[512];
  const ssize_t size = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  if (size <= 0) GTEST_SKIP() << "no user namespaces here, or a sanitizer's thread is in the way";
  EXPECT_EQ(std::string(text, static_cast<size_t>(size)),
            "cannot open /dev/net/tun: Permission denied; as root, run: chmod 0666 /dev/net/tun");
}

}  // namespace
}  // namespace usernic
