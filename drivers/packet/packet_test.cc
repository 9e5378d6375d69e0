// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver on an interface of the real kernel that is renamed, taken away and brought back. More: tests/e2e.
#include "drivers/packet/packet.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "bus/netif/veth_fixture.h"
#include "testing/watch.h"
#include "usernic/thread.h"
#include "usernic/unique_fd.h"

namespace usernic {
namespace {

class PacketNicTest : public VethTest {
 protected:
  NetdevPtr card(const NetdevConfig& config = {.name = "nic0"}) {
    auto dev = PacketNic::probe(net_, config, "left");
    EXPECT_TRUE(dev);
    return *std::move(dev);
  }
  static bool has_carrier(const NetDevice& dev) {
    return eventually([&] { return dev.carrier_ok(); });
  }
  Net net_;
};

TEST_F(PacketNicTest, NoMtuIsMoreThanItsBuffersTake) {
  const NetdevPtr dev = card({.name = "nic0", .mtu = 1500, .mtu_max = 65'535});
  EXPECT_EQ(dev->mtu_max(), PacketNic::kMtuMax);
  const auto refused = PacketNic::probe(net_, {.name = "nic1", .mtu = 9001, .mtu_max = 65'535}, "left");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), std::errc::invalid_argument);
}

TEST_F(PacketNicTest, RenamedTimeAndAgainItIsTheSameCard) {
  const NetdevPtr dev = card();
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(has_carrier(*dev));
  shell("ip link set left down");
  const UniqueFd door(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto rename = [&](const char* from, const char* to) {
    ifreq wish{};
    std::strcpy(wish.ifr_name, from);
    std::strcpy(wish.ifr_newname, to);
    EXPECT_EQ(::ioctl(door.get(), SIOCSIFNAME, &wish), 0);
  };
  rename("left", "lan");
  for (int round = 0; round < 2000; ++round) {
    rename("lan", "wan");
    rename("wan", "lan");
  }
  shell("ip link set lan up");
  EXPECT_TRUE(has_carrier(*dev));
}

TEST_F(PacketNicTest, TakenAwayAndBroughtBackByAnotherNameItIsPluggedInAgain) {
  const NetdevPtr dev = card();
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(has_carrier(*dev));
  UniqueFd elsewhere;
  auto maker = Thread::start("elsewhere", [&] {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    elsewhere.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  });
  ASSERT_TRUE(maker);
  maker->join();
  const std::string here = "/proc/" + std::to_string(::getpid());
  const std::string there = here + "/fd/" + std::to_string(elsewhere.get());
  shell("ip link set left netns " + there);
  EXPECT_TRUE(eventually([&] { return !dev->carrier_ok(); }));
  shell("nsenter --net=" + there + " ip link set left name wan");
  shell("nsenter --net=" + there + " ip link set wan netns " + here + "/ns/net");
  shell("ip link set wan up");
  EXPECT_TRUE(has_carrier(*dev));
}

}  // namespace
}  // namespace usernic
