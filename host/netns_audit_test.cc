// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netns_audit.h"

#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "host/namespace_fixture.h"
#include "host/picture_reader.h"
#include "host/rtnetlink.h"
#include "host/tap.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

class NetnsAuditTest : public TapNamespaceTest {
 protected:
  void SetUp() override {
    TapNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    auto audit = NetnsAudit::open(*netns_);
    ASSERT_TRUE(audit) << audit.error().sentence;
    audit_.emplace(*std::move(audit));
    auto rtnetlink = Rtnetlink::open(*netns_);
    ASSERT_TRUE(rtnetlink);
    rtnetlink_.emplace(*std::move(rtnetlink));
    auto sockets = PictureSockets::open(*netns_);
    ASSERT_TRUE(sockets);
    sockets_.emplace(*std::move(sockets));
    ASSERT_TRUE(netns_->run([&] { control_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }));
  }

  // Makes one that is up.
  int tap(const std::string& name) {
    auto tap = Tap::create(*netns_, name);
    EXPECT_TRUE(tap) << tap.error().sentence;
    taps_.push_back(*std::move(tap));
    shell("ip link set " + name + " up");
    return *rtnetlink_->ifindex(name);
  }
  void silent(unsigned long request, const std::string& name, const MacAddress& address) {
    ifreq change{};
    std::strcpy(change.ifr_name, name.c_str());
    change.ifr_hwaddr.sa_family = AF_UNSPEC;
    std::memcpy(change.ifr_hwaddr.sa_data, address.octets.data(), 6);
    ASSERT_EQ(::ioctl(control_.get(), request, &change), 0) << std::strerror(errno);
  }
  static MacAddress numbered(uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); }
  void read() {
    const auto done = audit_->read([](int) { return true; });
    ASSERT_TRUE(done) << done.error().sentence;
  }
  void expect_as_a_picture(int ifindex) {
    const InterfaceView* view = audit_->view(ifindex);
    ASSERT_NE(view, nullptr) << ifindex;
    const auto picture = PictureReader(*sockets_, ifindex).read();
    ASSERT_TRUE(picture);
    EXPECT_EQ(view->link, picture->after);
    EXPECT_EQ(view->addresses, picture->addresses);
    if (view->link.promiscuity == 1) {
      EXPECT_EQ(view->uc_empty, picture->uc_empty);
    }
  }

  std::optional<NetnsAudit> audit_;
  std::optional<Rtnetlink> rtnetlink_;
  std::optional<PictureSockets> sockets_;
  UniqueFd control_;
  std::vector<Tap> taps_;
};

TEST_F(NetnsAuditTest, ShowsOfEachWhatAPictureOfItShows) {
  std::vector<int> all;
  for (int i = 0; i < 8; ++i) all.push_back(tap("tap" + std::to_string(i)));
  shell("ip maddr add 01:00:5e:11:22:33 dev tap1; bridge fdb add 02:00:00:00:00:77 dev tap2 self");
  shell("ip link set tap3 promisc on mtu 1400; ip link set tap4 down; ip link set tap5 allmulticast on");
  shell("ip maddr add 02:00:00:00:00:78 dev tap6; ip link set tap6 promisc on");
  read();
  for (const int ifindex : all) expect_as_a_picture(ifindex);
  EXPECT_EQ(audit_->view(all[2])->uc_empty, false);
  EXPECT_EQ(audit_->view(all[3])->uc_empty, true);
  EXPECT_EQ(audit_->view(all[6])->uc_empty, true) << "a unicast address in the mc list";
  shell("ip link del tap1");
  read();
  EXPECT_EQ(audit_->view(all[1]), nullptr);
  expect_as_a_picture(all[2]);
}

TEST_F(NetnsAuditTest, OthersAreOnlyCounted) {
  const int ours = tap("tap0"), other = tap("tap1");
  for (uint32_t i = 0; i < 300; ++i) silent(SIOCADDMULTI, "tap1", numbered(i));
  ASSERT_TRUE(audit_->read([&](int ifindex) { return ifindex == ours; }));
  EXPECT_EQ(audit_->view(other), nullptr);
  EXPECT_GE(audit_->foreign(), 300u);
  EXPECT_LT(audit_->address_count(), 300u);
  ASSERT_TRUE(audit_->read([&](int ifindex) { return ifindex == ours; }));
  EXPECT_LT(audit_->foreign(), 600u) << "each time anew";
}

// A view that says that it is whole misses nothing that was there throughout; where a part ended, one does not say so.
TEST_F(NetnsAuditTest, WhatIsWholeMissesNothingWhileEntriesMove) {
  constexpr int kTaps = 6;
  constexpr uint32_t kMoving = 200, kStable = 100;
  std::vector<int> all;
  std::set<MacAddress> stable;
  for (uint32_t n = 0; n < kStable; ++n) stable.insert(numbered(n));
  for (int i = 0; i < kTaps; ++i) {
    const std::string name = "tap" + std::to_string(i);
    all.push_back(tap(name));
    for (uint32_t n = 0; n < kMoving; ++n) silent(SIOCADDMULTI, name, numbered(30'000 + n));
    for (uint32_t n = 0; n < kStable; ++n) silent(SIOCADDMULTI, name, numbered(n));
  }
  Event looked;
  Atomic<bool> done{false};
  Thread deletes("deletes", [&] {  // in front of the stable ones, which move up
    looked.wait();
    for (uint32_t n = 0; n < kMoving; ++n) {
      for (int i = 0; i < kTaps; ++i) silent(SIOCDELMULTI, "tap" + std::to_string(i), numbered(30'000 + n));
    }
    done.store(true);
  });
  int whole = 0, seams = 0;
  do {
    read();
    looked.set();
    for (const int ifindex : all) {
      const InterfaceView* view = audit_->view(ifindex);
      ASSERT_NE(view, nullptr);
      ++(view->whole ? whole : seams);
      if (!view->whole) continue;
      const std::set<MacAddress> seen(view->addresses.begin(), view->addresses.end());
      EXPECT_TRUE(std::ranges::includes(seen, stable)) << "interface " << ifindex;
    }
  } while (!done.load());
  deletes.join();
  EXPECT_GT(whole, 0);
  EXPECT_GT(seams, 0);
}

// A part that ended within an interface is known to be full, also where the rest of it went before the next one.
TEST_F(NetnsAuditTest, APartThatIsFullIsKnownToBe) {
  const int ifindex = tap("tap0");
  PictureReader reader(*sockets_, ifindex);
  ASSERT_TRUE(reader.read());
  int seams = 0;
  ndmsg header{};
  header.ndm_family = PF_BRIDGE;
  header.ndm_ifindex = ifindex;
  for (uint32_t n = 0; seams == 0 && n < 2'000; ++n) {
    silent(SIOCADDMULTI, "tap0", numbered(n));
    if (n < 300) continue;
    const NetlinkMessage question = netlink_message(RTM_GETNEIGH, NLM_F_DUMP, &header, sizeof header);
    const auto answer = sockets_->parts[0].ask(
        *question, [](const nlmsghdr&) {}, [&] { ++seams; });
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->whole, seams == 0) << n;
  }
  EXPECT_EQ(seams, 1);
}

}  // namespace
}  // namespace usernic
