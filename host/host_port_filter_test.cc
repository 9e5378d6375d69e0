// SPDX-License-Identifier: Apache-2.0 OR MIT
// What the kernel's stack wants received reaches the card, by every road there is, in time.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>

#include <set>

#include "host/host_port_fixture.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

class HostPortFilter : public HostPortTest {
 protected:
  void SetUp() override { set_up_with(Mirror::kAuditMin); }
  void set_up_with(Duration audit) {
    HostPortTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    show({"10.9.0.1/24", "fd00::1/64"}, true, audit);
    ASSERT_TRUE(comes_to_hold("01:00:5e:00:00:01")) << "what comes with the interface";
  }

  bool comes_to_hold(const char* address) {
    return eventually([&] { return nic().holds(mac(address)); });
  }
  bool comes_to_lack(const char* address) {
    return eventually([&] { return !nic().holds(mac(address)); });
  }
  bool promisc() {
    MutexGuard guard(nic().lock);
    return nic().promisc;
  }
  bool allmulti() {
    MutexGuard guard(nic().lock);
    return nic().allmulti;
  }
  UniqueFd joined_ipv4_group() {  // 01:00:5e:01:02:03
    UniqueFd socket = socket_there(AF_INET, SOCK_DGRAM, 0);
    ip_mreqn group{};
    ::inet_pton(AF_INET, "239.129.2.3", &group.imr_multiaddr);
    group.imr_ifindex = port_->ifindex();
    EXPECT_EQ(::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), 0);
    return socket;
  }
  UniqueFd packet_socket_with(int membership_type, const char* address = "00:00:00:00:00:00") {
    UniqueFd socket = socket_there(AF_PACKET, SOCK_RAW, 0);
    packet_mreq membership{};
    membership.mr_ifindex = port_->ifindex();
    membership.mr_type = static_cast<uint16_t>(membership_type);
    membership.mr_alen = 6;
    std::copy_n(mac(address).octets.begin(), 6, membership.mr_address);
    EXPECT_EQ(::setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership), 0);
    return socket;
  }
};

// No audit comes here: what reaches the card was announced.
class HostPortAnnounced : public HostPortFilter {
 protected:
  void SetUp() override { set_up_with(kNever); }
};

TEST_F(HostPortAnnounced, AnIpv4Join) {
  if (!port_->status().joins_are_announced) GTEST_SKIP() << "this kernel announces no joins (6.15 does)";
  const UniqueFd socket = joined_ipv4_group();
  EXPECT_TRUE(comes_to_hold("01:00:5e:01:02:03"));
}

TEST_F(HostPortAnnounced, AnIpv6Join) {
  if (!port_->status().joins_are_announced) GTEST_SKIP() << "this kernel announces no joins (6.15 does)";
  const UniqueFd socket = socket_there(AF_INET6, SOCK_DGRAM, 0);
  ipv6_mreq group{};
  ::inet_pton(AF_INET6, "ff05::1:2:3", &group.ipv6mr_multiaddr);
  group.ipv6mr_interface = static_cast<unsigned>(port_->ifindex());
  ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group), 0);
  EXPECT_TRUE(comes_to_hold("33:33:00:02:00:03"));
}

TEST_F(HostPortAnnounced, AnFdbEntryOfEachClassAndItsEnd) {
  for (const char* address : {"02:00:00:00:00:77", "01:00:5e:40:00:01"}) {
    shell(std::string("bridge fdb add ") + address + " dev nic0 self");
    EXPECT_TRUE(comes_to_hold(address));
  }
  shell("bridge fdb del 02:00:00:00:00:77 dev nic0 self");
  EXPECT_TRUE(comes_to_lack("02:00:00:00:00:77"));
  EXPECT_TRUE(nic().holds(mac("01:00:5e:40:00:01")));
}

TEST_F(HostPortAnnounced, PromiscuityAndAllmultiOnAndOff) {
  shell("ip link set nic0 promisc on");
  EXPECT_TRUE(eventually([&] { return promisc(); }));
  shell("ip link set nic0 promisc off");
  EXPECT_TRUE(eventually([&] { return !promisc(); }));
  shell("ip link set nic0 allmulticast on");
  EXPECT_TRUE(eventually([&] { return allmulti(); }));
  shell("ip link set nic0 allmulticast off");
  EXPECT_TRUE(eventually([&] { return !allmulti(); }));
}

TEST_F(HostPortAnnounced, PromiscuityOfAPacketSocketThoughWithoutTheFlag) {
  const UniqueFd socket = packet_socket_with(PACKET_MR_PROMISC);
  EXPECT_TRUE(eventually([&] { return promisc(); }));
}

TEST_F(HostPortFilter, AnIpv4JoinAndLeave) {
  UniqueFd socket = joined_ipv4_group();
  EXPECT_TRUE(comes_to_hold("01:00:5e:01:02:03"));
  socket.reset();
  EXPECT_TRUE(comes_to_lack("01:00:5e:01:02:03"));
}

TEST_F(HostPortFilter, TheSolicitedNodeGroupOfAnIpv6Address) {
  EXPECT_TRUE(comes_to_hold("33:33:ff:00:00:01"));
}

TEST_F(HostPortFilter, AUnicastFdbEntryWithoutPromiscuity) {
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self");
  EXPECT_TRUE(comes_to_hold("02:00:00:00:00:77"));
  const uint64_t pictures = port_->status().pictures;
  ASSERT_TRUE(eventually([&] { return port_->status().pictures >= pictures + 2; }));
  EXPECT_EQ(link().promiscuity, 1u) << "the kernel's own, for the unicast list";
  EXPECT_FALSE(promisc()) << "is nobody's wish";
}

TEST_F(HostPortFilter, ASilentSiocaddmulti) {
  shell("ip maddr add 01:00:5e:11:22:33 dev nic0");
  EXPECT_TRUE(comes_to_hold("01:00:5e:11:22:33"));
  shell("ip maddr del 01:00:5e:11:22:33 dev nic0");
  EXPECT_TRUE(comes_to_lack("01:00:5e:11:22:33"));
}

TEST_F(HostPortFilter, ASilentMacvlan) {
  shell("ip link add mv0 link nic0 type macvlan mode private && ip link set mv0 address 02:00:00:00:00:99 up");
  EXPECT_TRUE(comes_to_hold("02:00:00:00:00:99"));
  shell("ip link del mv0");
  EXPECT_TRUE(comes_to_lack("02:00:00:00:00:99"));
  EXPECT_FALSE(promisc());
}

TEST_F(HostPortFilter, SilentMembershipsOfPacketSockets) {
  const UniqueFd one = packet_socket_with(PACKET_MR_UNICAST, "02:00:00:00:00:98");
  EXPECT_TRUE(comes_to_hold("02:00:00:00:00:98"));
  const UniqueFd all = packet_socket_with(PACKET_MR_ALLMULTI);
  EXPECT_TRUE(eventually([&] { return allmulti(); }));
}

TEST_F(HostPortFilter, WhatIsWantedWhileDownIsProgrammedWhenUpAgain) {
  shell("ip link set nic0 down");
  ASSERT_TRUE(eventually([&] { return !dev_->running(); }));
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self; ip link set nic0 up");
  EXPECT_TRUE(comes_to_hold("02:00:00:00:00:77"));
  EXPECT_FALSE(promisc());
}

TEST_F(HostPortFilter, AnAddressHeldTwiceStaysUntilItsLastHolderGoes) {
  shell("bridge fdb add 01:00:5e:01:02:03 dev nic0 self");
  UniqueFd socket = joined_ipv4_group();
  EXPECT_TRUE(comes_to_hold("01:00:5e:01:02:03"));
  socket.reset();
  const uint64_t pictures = port_->status().pictures;
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(nic().holds(mac("01:00:5e:01:02:03"))) << "the fdb entry holds it";
    return HasFailure() || port_->status().pictures >= pictures + 4;
  }));
}

TEST_F(HostPortFilter, TenThousandSilentAddressesAgainstACardThatTakesTenMilliseconds) {
  constexpr uint32_t kCount = 10'000;
  const auto numbered = [](uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); };
  nic().call_time_ns.store(Duration(milliseconds(10)).count());
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  for (uint32_t i = 0; i < kCount; ++i) silent(control.get(), SIOCADDMULTI, numbered(i));
  const Time last = Clock::now();
  ASSERT_TRUE(eventually([&] {
    MutexGuard guard(nic().lock);
    return nic().filter.size() >= kCount;
  }));
  const Duration settled = Clock::now() - last;
  const uint32_t calls = nic().filter_calls.load();
  fmt::print("10,000 silent addresses: {} ms after the last, {} driver calls, a picture takes {} us\n",
             settled / milliseconds(1), calls, port_->status().last_picture_us);
  // Nothing changes: nothing reaches the lists.
  const uint64_t changes = dev_->rx_mode().status().stats.changes;
  const uint64_t pictures = port_->status().pictures;
  ASSERT_TRUE(eventually([&] { return port_->status().pictures >= pictures + 3; }));
  EXPECT_EQ(dev_->rx_mode().status().stats.changes, changes);
  // One more is one change.
  silent(control.get(), SIOCADDMULTI, numbered(kCount));
  EXPECT_TRUE(eventually([&] { return nic().holds(numbered(kCount)); }));
  EXPECT_EQ(dev_->rx_mode().status().stats.changes, changes + 1);
}

// Stable addresses stay wanted at every moment while others come and go in front of them: the unicast list is dumped
// first, so each entry that leaves it moves all multicast entries, and the ones at the seams of the dump are missed.
TEST_F(HostPortFilter, ChurnNeverTakesAStableAddressAway) {
  const auto numbered = [](uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); };
  constexpr uint32_t kStable = 3'000;  // several parts of a dump
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self");
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  for (uint32_t i = 0; i < kStable; ++i) silent(control.get(), SIOCADDMULTI, numbered(i));
  ASSERT_TRUE(eventually([&] { return dev_->mc().size() >= kStable; }));

  const UniqueFd packet = socket_there(AF_PACKET, SOCK_RAW, 0);
  Atomic<bool> stop{false};
  Thread churn("churn", [&] {
    packet_mreq membership{};
    membership.mr_ifindex = port_->ifindex();
    membership.mr_type = PACKET_MR_UNICAST;
    membership.mr_alen = 6;
    while (!stop.load()) {
      for (int option : {PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP}) {
        for (uint8_t i = 0; i < 20; ++i) {
          membership.mr_address[0] = 2, membership.mr_address[5] = i, membership.mr_address[4] = 5;
          ASSERT_EQ(::setsockopt(packet.get(), SOL_PACKET, option, &membership, sizeof membership), 0);
        }
      }
    }
  });
  const uint64_t pictures = port_->status().pictures;
  const Time deadline = Clock::now() + std::chrono::minutes(2);
  while (port_->status().pictures < pictures + 12 && Clock::now() < deadline && !HasFailure()) {
    EXPECT_GE(dev_->mc().size(), kStable);
  }
  stop.store(true);
  EXPECT_GE(port_->status().pictures, pictures + 12);
}

}  // namespace
}  // namespace usernic
