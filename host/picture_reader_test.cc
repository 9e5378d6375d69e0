// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/picture_reader.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "host/tap_fixture.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

class PictureReaderTest : public TapFixture {
 protected:
  void SetUp() override {
    TapFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto sockets = PictureSockets::open(*netns_);
    ASSERT_TRUE(sockets) << sockets.error().sentence;
    sockets_.emplace(std::move(*sockets));
    reader_.emplace(*sockets_, ifindex_);
    ASSERT_TRUE(netns_->run([&] { control_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }));
    shell("sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1; ip link set tap0 up");
  }

  HostPicture picture() {
    auto picture = reader_->read();
    EXPECT_TRUE(picture) << picture.error().sentence;
    return picture ? *picture : HostPicture{};
  }
  bool shows(const char* address) { return std::ranges::count(picture().addresses, *MacAddress::parse(address)) == 1; }
  static MacAddress numbered(uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); }
  // What `ip maddr add|del` does: a silent change.
  void silent(unsigned long request, const MacAddress& address) {
    ifreq change{};
    std::strcpy(change.ifr_name, "tap0");
    change.ifr_hwaddr.sa_family = AF_UNSPEC;
    std::memcpy(change.ifr_hwaddr.sa_data, address.octets.data(), 6);
    ASSERT_EQ(::ioctl(control_.get(), request, &change), 0) << std::strerror(errno);
  }

  std::optional<PictureSockets> sockets_;
  std::optional<PictureReader> reader_;
  UniqueFd control_;
};

TEST_F(PictureReaderTest, ShowsTheLinkAndWhatTheKernelAddsByItself) {
  shell("ip link set tap0 address 02:00:00:00:00:05 mtu 1400");
  const HostPicture taken = picture();
  EXPECT_EQ(taken.before, taken.after);
  EXPECT_EQ(taken.after,
            (HostLink{.up = true, .mtu = 1400, .address = *MacAddress::parse("02:00:00:00:00:05"), .carrier = false}));
  EXPECT_TRUE(taken.whole);
  EXPECT_TRUE(shows("01:00:5e:00:00:01")) << "224.0.0.1";
  EXPECT_LT(taken.begun, taken.ended);
}

TEST_F(PictureReaderTest, ShowsFdbEntriesAndThePromiscuityThatTheyCause) {
  shell("bridge fdb add 02:00:00:00:00:77 dev tap0 self");
  EXPECT_TRUE(shows("02:00:00:00:00:77"));
  EXPECT_EQ(picture().after.promiscuity, 1u) << "TUN has no unicast filter of its own";
}

TEST_F(PictureReaderTest, ShowsWhatComesSilently) {
  shell("ip maddr add 01:00:5e:11:22:33 dev tap0");
  EXPECT_TRUE(shows("01:00:5e:11:22:33"));
  shell("ip link add mv0 link tap0 type macvlan mode private; ip link set mv0 address 02:00:00:00:00:99 up");
  EXPECT_TRUE(shows("02:00:00:00:00:99"));
  shell("ip link del mv0");
  EXPECT_FALSE(shows("02:00:00:00:00:99"));
}

TEST_F(PictureReaderTest, OtherInterfacesAreNotInIt) {
  shell("ip tuntap add tap1 mode tap; ip link set tap1 up; bridge fdb add 02:00:00:00:00:78 dev tap1 self");
  EXPECT_FALSE(shows("02:00:00:00:00:78"));
}

TEST_F(PictureReaderTest, TheEntriesOfTheBridgeThatItIsAPortOfAreNotInIt) {
  if (shell("ip link add br0 type bridge 2>/dev/null && ip link set tap0 master br0 && echo yes; true").empty()) {
    GTEST_SKIP() << "this kernel has no bridge";
  }
  shell("bridge fdb add 02:00:00:00:00:79 dev tap0 master");
  EXPECT_FALSE(shows("02:00:00:00:00:79"));
  EXPECT_GE(picture().after.promiscuity, 1u) << "the bridge wants everything";
}

TEST_F(PictureReaderTest, ADeletedInterfaceIsNoSuchDevice) {
  shell("ip link del tap0");
  const auto taken = reader_->read();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().error, std::errc::no_such_device);
}

TEST_F(PictureReaderTest, TenThousandAddressesAreAllThereInPicturesWhoseSeamsMove) {
  constexpr uint32_t kCount = 10'000;
  const size_t before = picture().addresses.size();
  for (uint32_t i = 0; i < kCount; ++i) silent(SIOCADDMULTI, numbered(i));
  for (int i = 0; i < 4; ++i) {
    const HostPicture taken = picture();
    EXPECT_EQ(taken.addresses.size(), before + kCount);
    EXPECT_FALSE(taken.whole);
    const auto cost = std::chrono::duration_cast<std::chrono::microseconds>(taken.ended - taken.begun);
    RecordProperty(fmt::format("cost_us_{}", i), static_cast<int>(cost.count()));
    if (i == 3) fmt::print("a picture of {} addresses: {} us\n", kCount, cost.count());
  }
}

// What the mirror's rules rest on: a picture in one part misses nothing that was there throughout, while one with
// seams may.
TEST_F(PictureReaderTest, APictureInOnePartIsWholeUnderChurn) {
  constexpr uint32_t kStable = 500;
  std::set<MacAddress> stable;
  silent(SIOCADDMULTI, numbered(9'999));
  for (uint32_t i = 0; i < kStable; ++i) silent(SIOCADDMULTI, numbered(i)), stable.insert(numbered(i));
  Atomic<bool> stop{false};
  Thread churn("churn", [&] {
    while (!stop.load()) {
      for (uint32_t i = 0; i < 20; ++i) silent(SIOCADDMULTI, numbered(20'000 + i));
      for (uint32_t i = 0; i < 20; ++i) silent(SIOCDELMULTI, numbered(20'000 + i));
    }
  });
  for (int i = 0; i < 300; ++i) {
    const HostPicture taken = picture();
    ASSERT_TRUE(taken.whole);
    const std::set<MacAddress> seen(taken.addresses.begin(), taken.addresses.end());
    ASSERT_TRUE(std::ranges::includes(seen, stable)) << "picture " << i;
  }
  stop.store(true);
}

}  // namespace
}  // namespace usernic
