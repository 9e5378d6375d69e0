// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver on an interface of the real kernel that is renamed, taken away and brought back. More: tests/e2e.
#include "drivers/packet/packet.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bus/netif/old_kernel_fixture.h"
#include "bus/netif/veth_fixture.h"
#include "testing/inet_frames.h"
#include "testing/watch.h"
#include "usernic/notice.h"
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
  static constexpr LockClass kClass{"packet_test_said"};
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

// Another namespace, as `ip` and `nsenter` name it, while it lives.
class Elsewhere {
 public:
  Elsewhere() {
    auto maker = Thread::start("elsewhere", [&] {
      EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
      fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    });
    EXPECT_TRUE(maker);
    if (maker) maker->join();
  }
  std::string path() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

TEST_F(PacketNicTest, TakenAwayAndBroughtBackByAnotherNameItIsPluggedInAgain) {
  const NetdevPtr dev = card();
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(has_carrier(*dev));
  const Elsewhere elsewhere;
  const std::string here = "/proc/" + std::to_string(::getpid());
  const std::string there = elsewhere.path();
  shell("ip link set left netns " + there);
  EXPECT_TRUE(eventually([&] { return !dev->carrier_ok(); }));
  shell("nsenter --net=" + there + " ip link set left name wan");
  shell("nsenter --net=" + there + " ip link set wan netns " + here + "/ns/net");
  shell("ip link set wan up");
  EXPECT_TRUE(has_carrier(*dev));
}

TEST_F(PacketNicTest, TheFirstSuperframeOfUdpThatAnOldKernelRefusesIsTheLast) {
  const NetdevPtr dev = card();
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(has_carrier(*dev));
  ASSERT_TRUE(dev->features().has(Feature::kUso));
  const OldKernel kernel;
  SkbPool frames(8, 2000), superframes(1, 5000, &frames);
  const auto send_one = [&] {
    const Packet packet{.udp = true, .payload_bytes = 4'000};
    SkbBatch one;
    Skb& skb = *superframes.alloc();
    std::ranges::copy(packet.octets(), skb.put(static_cast<uint32_t>(packet.octets().size())));
    skb.set_offload({.sum = FrameSum::kNeeded,
                     .gso = Gso::kUdp,
                     .sum_offset = 6,
                     .sum_start = 34,
                     .gso_size = 1000,
                     .header_bytes = 42});
    one.push_back(skb);
    dev->xmit(dev->tx_queue(0), one);
  };
  send_one();
  EXPECT_TRUE(eventually([&] { return !dev->features().has(Feature::kUso); }));
  EXPECT_EQ(dev->stats().tx_errors, 4u);
  send_one();  // cut by the core
  EXPECT_EQ(dev->stats().tx_errors, 4u);
  ASSERT_TRUE(dev->close());
}

// A macvlan with the address of what it is on is not opened. When that gets another, elsewhere, nobody here is told.
TEST_F(PacketNicTest, OneThatCannotBeOpenedWhenItIsBackSaysSoOnceAndIsTriedAgain) {
  Mutex lock{kClass};
  std::vector<std::string> said;
  Event spoken;
  NoticeHandler before = set_notice_handler([&](const Notice& notice) {
    MutexGuard guard(lock);
    said.push_back(notice.text);
    spoken.set();
  });
  {
    const NetdevPtr dev = card();
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->open());
    EXPECT_TRUE(has_carrier(*dev));
    const std::string here = "/proc/" + std::to_string(::getpid()) + "/ns/net";
    const Elsewhere elsewhere;
    const std::string there = "nsenter --net=" + elsewhere.path() + " ip link ";
    shell("ip link set left netns " + elsewhere.path());
    EXPECT_TRUE(eventually([&] { return !dev->carrier_ok(); }));
    shell(there + "set left name below && " + there + "set below address 02:00:00:00:00:77 up");
    shell(there + "add link below name left address 02:00:00:00:00:77 type macvlan && " + there + "set left netns " +
          here);
    ASSERT_TRUE(spoken.wait());
    for (int change = 0; change < 3; ++change) {  // each is word to look again
      shell("ip link set left txqueuelen " + std::to_string(500 + change));
    }
    dev->lane().flush();
    {
      MutexGuard guard(lock);
      EXPECT_EQ(said, std::vector<std::string>{"nic0: its interface is back, and cannot be opened: Address already in "
                                               "use; it is tried again, each second"});
    }
    EXPECT_FALSE(dev->carrier_ok());
    shell(there + "set below address 02:00:00:00:00:78");
    EXPECT_TRUE(has_carrier(*dev));
    EXPECT_EQ(spoken.count(), 1u);
  }
  (void)set_notice_handler(std::move(before));
}

}  // namespace
}  // namespace usernic
