// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/veth.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "bus/netif/old_kernel_fixture.h"
#include "host/namespace_fixture.h"
#include "host/rtnetlink.h"
#include "usernic/refusal.h"

namespace usernic {
namespace {

class VethEndTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto veth = Veth::create(*netns_, "nic0");
    ASSERT_TRUE(veth) << veth.error().sentence;
    veth_ = *std::move(veth);
  }
  bool is_up() { return shell("ip link show nic0").contains(" state UP "); }
  void set_up() {
    shell(
        "echo 1 >/proc/sys/net/ipv6/conf/nic0/disable_ipv6; ip addr add 10.9.0.1/24 dev nic0; ip link set nic0 up;"
        "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev nic0");
    ASSERT_TRUE(veth_->set_carrier(true));
    ASSERT_TRUE(eventually([&] { return is_up(); })) << "before, the kernel drops what is sent";
  }
  // A datagram of so many octets, cut by whoever can into such of so many.
  void send(uint32_t octets, int segment) {
    ASSERT_TRUE(netns_->run([&] {
      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (segment > 0) ::setsockopt(socket.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(9);
      to.sin_addr.s_addr = htonl(10 << 24 | 9 << 16 | 2);
      const std::vector<uint8_t> payload(octets);
      ::sendto(socket.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }));
  }
  // Of what has the interface's name.
  uint32_t ethtool(uint32_t command) {
    ethtool_value value{.cmd = command, .data = 0};
    EXPECT_TRUE(netns_->run([&] {
      const UniqueFd door(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      ifreq request{};
      std::strcpy(request.ifr_name, "nic0");
      request.ifr_data = reinterpret_cast<char*>(&value);
      EXPECT_EQ(::ioctl(door.get(), SIOCETHTOOL, &request), 0);
    }));
    return value.data;
  }
  // The next frames, one at least; their size and what is left to do on them.
  struct Came {
    uint32_t size;
    Offload offload;
  };
  std::vector<Came> read() {
    pollfd readable{.fd = queue_->fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&readable, 1, 120'000), 1);
    SkbBatch frames;
    EXPECT_TRUE(queue_->read(pools_, 1518, frames));
    std::vector<Came> came;
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      came.push_back({skb->size(), skb->offload()});
    }
    return came;
  }
  void TearDown() override {
    if (queue_) queue_->free_spare();
  }

  FramePools pools_{2048};
  std::unique_ptr<Veth> veth_;
  Kick kick_ = *Kick::make();
  std::unique_ptr<EndQueue> queue_;
};

TEST_F(VethEndTest, StartsWithoutCarrierAndItsStateFollowsIt) {
  shell("ip link set nic0 up");
  EXPECT_FALSE(is_up());
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(veth_->set_carrier(true));
    EXPECT_TRUE(eventually([&] { return is_up(); }));
    ASSERT_TRUE(veth_->set_carrier(false));
    EXPECT_TRUE(eventually([&] { return !is_up(); }));
  }
  // One that is down and comes up has the carrier that it is to have.
  shell("ip link set nic0 down");
  ASSERT_TRUE(veth_->set_carrier(true));
  shell("ip link set nic0 up");
  EXPECT_TRUE(eventually([&] { return is_up(); }));
}

TEST_F(VethEndTest, GivesWholeFramesUntilItIsToldWhatMayBeLeft) {
  queue_ = veth_->open_queue(0, kick_, nullptr);
  set_up();
  send(20, 0);
  std::vector<Came> came = read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_FALSE(came[0].offload.any());
  EXPECT_EQ(ethtool(ETHTOOL_GTSO), 0u);
  EXPECT_EQ(ethtool(ETHTOOL_GGSO), 1u) << "the kernel goes on with superframes, and cuts them itself";

  const Features kinds = veth_->take_superframes(kSegmentation);
  EXPECT_TRUE(kinds.has(Feature::kTso4) && kinds.has(Feature::kTso6) && kinds.has(Feature::kTsoEcn));
  send(20, 0);
  came = read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].offload.sum, FrameSum::kNeeded);
  if (kinds.has(Feature::kUso)) {
    send(5000, 1000);
    came = read();
    ASSERT_EQ(came.size(), 1u);
    EXPECT_EQ(came[0].size, 5042u);
    EXPECT_EQ(came[0].offload.gso, Gso::kUdp);
    EXPECT_EQ(came[0].offload.gso_size, 1000u);
  }
  EXPECT_EQ(veth_->take_superframes({Feature::kTso4}), Features{Feature::kTso4});
  send(2000, 1000);
  for (uint32_t heard = 0; heard < 2;) {
    for (const Came& each : read()) {
      EXPECT_EQ(each.size, 1042u);
      EXPECT_FALSE(each.offload.superframe());
      ++heard;
    }
  }
  veth_->take_nothing_offloaded();
  send(20, 0);
  came = read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_FALSE(came[0].offload.any());
}

TEST_F(VethEndTest, AKernelThatTakesNoSuperframesOfUdpBackIsNotAskedForAny) {
  const OldKernel kernel;
  auto veth = Veth::create(*netns_, "old0");
  ASSERT_TRUE(veth) << veth.error().sentence;
  EXPECT_EQ((*veth)->take_superframes(kSegmentation), kSegmentation.without({Feature::kUso}));
}

TEST_F(VethEndTest, ItsOtherEndSaysNothingByItself) {
  queue_ = veth_->open_queue(0, kick_, nullptr);
  set_up();
  const std::string before = shell("ip -s -j link show nic0");
  const std::string key = "\"rx\":{";
  send(20, 0);  // asks for nobody: the neighbour is known
  EXPECT_EQ(read().size(), 1u);
  // Whoever would autoconfigure an address asks whether it is taken, at once.
  shell("ping -c 1 -W 1 -I nic0 ff02::1 >/dev/null; ping -b -c 1 -W 1 10.9.0.255 >/dev/null; true");
  EXPECT_TRUE(shell("ip -s -j link show nic0").contains("\"rx\":{\"bytes\":0")) << before << key;
}

TEST_F(VethEndTest, KnowsWhatItIsCalledAndWhereItIs) {
  EXPECT_EQ(*veth_->name_now(), "nic0");
  EXPECT_EQ(veth_->netns_now()->id(), netns_->id());
  shell("ip link set nic0 name other");
  EXPECT_EQ(*veth_->name_now(), "other");
  auto elsewhere = NetNamespace::create();
  ASSERT_TRUE(elsewhere);
  shell("ip link set other netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(elsewhere->fd()));
  EXPECT_EQ(*veth_->name_now(), "other");
  const auto there = veth_->netns_now();
  ASSERT_TRUE(there) << there.error().sentence;
  EXPECT_EQ(there->id(), elsewhere->id());
  // There, too, it can be told what may be left to us.
  EXPECT_EQ(veth_->take_superframes({Feature::kTso4}), Features{Feature::kTso4});
}

TEST_F(VethEndTest, AStrangerOfItsNameIsLeftAlone) {
  const auto tso = [&] { return ethtool(ETHTOOL_GTSO); };
  auto elsewhere = NetNamespace::create();
  ASSERT_TRUE(elsewhere);
  const std::string there = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(elsewhere->fd());
  const int index = std::stoi(shell("ip -o link show nic0"));
  shell("ip link set nic0 netns " + there);
  shell("ip link add nic0 index " + std::to_string(index) + " type veth peer name other");  // even of its number
  ASSERT_EQ(tso(), 1u);
  EXPECT_EQ(veth_->take_superframes({}), Features());
  veth_->take_nothing_offloaded();
  EXPECT_EQ(tso(), 1u);
  ASSERT_TRUE(veth_->netns_now());
  EXPECT_EQ(veth_->take_superframes({Feature::kTso4}), Features{Feature::kTso4});
  EXPECT_EQ(tso(), 1u);
  (void)elsewhere->run([] { EXPECT_EQ(std::system("PATH=$PATH:/sbin:/usr/sbin ip link del nic0"), 0); });
  veth_->take_nothing_offloaded();
  EXPECT_EQ(tso(), 1u);
}

TEST_F(VethEndTest, IsFoundBehindMoreNamespacesThanThereAreDescriptors) {
  std::vector<NetNamespace> others;
  while (others.size() < 12) others.push_back(*NetNamespace::create());
  auto elsewhere = NetNamespace::create();
  ASSERT_TRUE(elsewhere);
  shell("ip link set nic0 netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(elsewhere->fd()));
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(elsewhere->fd()) + 8;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto there = veth_->netns_now();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(there) << there.error().sentence;
  EXPECT_EQ(there->id(), elsewhere->id());
}

TEST_F(VethEndTest, ADeletedOneIsGoneAndAClosedOneLeavesNothing) {
  auto second = Veth::create(*netns_, "nic1");
  ASSERT_TRUE(second) << second.error().sentence;
  (*second)->close();
  EXPECT_FALSE(shell("ip link").contains("nic1"));
  shell("ip link del nic0");
  EXPECT_EQ(veth_->name_now().error(), std::errc::bad_file_descriptor);
  EXPECT_EQ(veth_->netns_now().error().error, std::errc::bad_file_descriptor);
}

TEST_F(VethEndTest, ANameThatIsInUseIsSaidWithWhoHasIt) {
  const auto again = Veth::create(*netns_, "nic0");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().error, std::errc::device_or_resource_busy);
  EXPECT_EQ(again.error().sentence,
            "cannot make interface \"nic0\": the name is in use in that network namespace, by a veth");
  EXPECT_EQ(Veth::create(*netns_, "a/b").error().error, std::errc::invalid_argument);
}

}  // namespace
}  // namespace usernic
