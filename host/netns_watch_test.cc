// SPDX-License-Identifier: Apache-2.0 OR MIT
// Many ports in one namespace: each hears what is its own, and is looked at when there is something to see.
#include "host/netns_watch.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host/host_port.h"
#include "host/namespace_fixture.h"
#include "testing/nic.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

class NetnsWatchTest : public TapNamespaceTest {
 protected:
  static constexpr Duration kNever = std::chrono::hours(24);
  static constexpr int kNics = 6;

  void SetUp() override {
    TapNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    ASSERT_TRUE(netns_->run([&] { control_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }));
  }
  void TearDown() override {
    ports_.clear();
    devs_.clear();
  }

  void show(Duration audit) {
    auto loop = HostLoop::create({.audit = audit});
    ASSERT_TRUE(loop) << loop.error().sentence;
    loop_ = *std::move(loop);
    for (int i = 0; i < kNics; ++i) {
      auto dev = net_.alloc_netdev<TestNic>({.name = name(i), .address = own_address(i)});
      ASSERT_TRUE(dev);
      devs_.push_back(*std::move(dev));
      ASSERT_TRUE(devs_.back()->register_netdev());
      auto port = HostPort::create(*loop_, *devs_.back(), *netns_, {.name = name(i)});
      ASSERT_TRUE(port) << port.error().sentence;
      ports_.push_back(*std::move(port));
    }
    for (const auto& dev : devs_) {
      ASSERT_TRUE(eventually([&] { return dev->running() && dev->mc().contains(kAllHosts); })) << dev->name();
    }
    // What comes of their start is over when what they are asked for is known.
    for (const auto& port : ports_) ASSERT_TRUE(port->wait_known(Clock::now(), Clock::now() + std::chrono::minutes(2)));
  }
  static std::string name(int i) { return "nic" + std::to_string(i); }
  static MacAddress own_address(int i) { return MacAddress::from_u64(0x02'00'00'00'00'01 + static_cast<uint64_t>(i)); }
  static MacAddress numbered(uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); }
  // What `ip maddr add|del` does: a change that the kernel announces to nobody.
  void silent(unsigned long request, int nic, const MacAddress& address) {
    ifreq change{};
    std::strcpy(change.ifr_name, name(nic).c_str());
    change.ifr_hwaddr.sa_family = AF_UNSPEC;
    std::memcpy(change.ifr_hwaddr.sa_data, address.octets.data(), 6);
    ASSERT_EQ(::ioctl(control_.get(), request, &change), 0) << std::strerror(errno);
  }
  // Adds one to nic0 and waits until it is found; the pictures that the others took meanwhile.
  uint64_t pictures_of_others_while_one_is_found(uint32_t number) {
    const auto of_others = [&] {
      uint64_t sum = 0;
      for (int i = 1; i < kNics; ++i) sum += ports_[static_cast<size_t>(i)]->status().pictures;
      return sum;
    };
    const uint64_t before = of_others();
    silent(SIOCADDMULTI, 0, numbered(number));
    EXPECT_TRUE(eventually([&] { return devs_[0]->mc().contains(numbered(number)); })) << number;
    return of_others() - before;
  }

  static constexpr MacAddress kAllHosts{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};
  Net net_;
  std::unique_ptr<HostLoop> loop_;
  std::vector<NetdevPtr> devs_;
  std::vector<std::shared_ptr<HostPort>> ports_;
  UniqueFd control_;
};

TEST_F(NetnsWatchTest, ASilentChangeIsFoundAtEachAndMakesNobodyElseLook) {
  show(std::chrono::milliseconds(1));
  for (int i = 0; i < kNics; ++i) {
    const auto& dev = devs_[static_cast<size_t>(i)];
    silent(SIOCADDMULTI, i, numbered(1));
    EXPECT_TRUE(eventually([&] { return dev->mc().contains(numbered(1)); })) << i;
    silent(SIOCDELMULTI, i, numbered(1));
    EXPECT_TRUE(eventually([&] { return !dev->mc().contains(numbered(1)); })) << i;
  }
  int quiet = 0;
  for (uint32_t n = 0; n < 20; ++n) quiet += pictures_of_others_while_one_is_found(10 + n) == 0;
  EXPECT_GT(quiet, 10) << "an announcement about another may come in between, no more";
}

TEST_F(NetnsWatchTest, AnAnnouncementReachesWhomItIsAbout) {
  show(kNever);
  for (int i = 0; i < kNics; ++i) {
    const auto& dev = devs_[static_cast<size_t>(i)];
    const MacAddress address = MacAddress::from_u64(0x02'00'00'00'01'00ull + static_cast<uint64_t>(i));
    shell("bridge fdb add " + address.to_string() + " dev " + name(i) + " self");
    EXPECT_TRUE(eventually([&] { return dev->uc().contains(address); })) << i;
    for (const auto& other : devs_) EXPECT_EQ(other->uc().contains(address), other == dev);
  }
}

TEST_F(NetnsWatchTest, PromiscuityAndListsOfManyAreToldApart) {
  show(std::chrono::milliseconds(1));
  shell("ip maddr add 02:00:00:00:00:77 dev nic1; ip link set nic1 promisc on; ip link set nic2 promisc on");
  shell("bridge fdb add 02:00:00:00:00:77 dev nic3 self");
  const auto promiscuity = [&](size_t i) { return devs_[i]->rx_mode().status().promiscuity; };
  EXPECT_TRUE(eventually([&] { return promiscuity(1) == 1 && promiscuity(2) == 1 && devs_[3]->uc().size() == 1; }));
  // From the mc list to the uc list: the LINK and the addresses of it look the same afterwards.
  shell(
      "ip maddr del 02:00:00:00:00:77 dev nic1; ip link set nic1 promisc off; "
      "bridge fdb add 02:00:00:00:00:77 dev nic1 self");
  EXPECT_TRUE(eventually([&] { return promiscuity(1) == 0; }));
  EXPECT_EQ(promiscuity(3), 0u) << "the kernel's own, for its uc list";
}

TEST_F(NetnsWatchTest, AmongManyStationsOfABridgeSilentChangesAreFoundToo) {
  if (shell("ip link add br0 type bridge 2>/dev/null && echo yes; true").empty())
    GTEST_SKIP() << "this kernel has no bridge";
  shell(
      "ip tuntap add port mode tap && ip link set port master br0 && for i in $(seq 1000 9999); do "
      "echo \"fdb add 02:00:00:00:${i%??}:${i#??} dev port master static\"; done | bridge -batch -");
  show(std::chrono::milliseconds(1));
  uint64_t looks = 0;
  for (uint32_t n = 0; n < 20; ++n) looks += pictures_of_others_while_one_is_found(10 + n);
  EXPECT_GT(looks, 0u) << "looks at each cost less than a dump of all that";
}

TEST_F(NetnsWatchTest, ManyThatEndTogetherLeaveNothing) {
  show(kNever);
  HostPort::close_all(ports_);
  EXPECT_EQ(shell("ip -o link | grep -c nic; true"), "0\n");
  for (const auto& dev : devs_) EXPECT_FALSE(dev->running()) << dev->name();
}

}  // namespace
}  // namespace usernic
