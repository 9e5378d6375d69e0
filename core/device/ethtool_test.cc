// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/ethtool.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/device/device.h"
#include "core/device/net_device_fixture.h"
#include "usernic/ioctl.h"

namespace usernic {
namespace {

// Knows everything of itself.
class TalkingDriver : public PlainDriver {
 public:
  explicit TalkingDriver(NetDevice& dev) : PlainDriver(dev), dev_(dev) {}
  Result<> get_drvinfo(DriverInfo& info) {
    rtnl_was_held |= Device::of(dev_).net_ref.rtnl().held_by_me();
    info.version = "7", info.bus = "usb:1-2";
    return {};
  }
  Result<> get_link_settings(LinkSettings& link) {
    link = {.speed_mbps = 100, .duplex = Duplex::kFull, .autoneg = true, .port = "twisted pair"};
    return {};
  }
  Result<> get_ringparam(RingParam& rings) {
    rings = {.rx = 64, .tx = 32, .rx_max = 128, .tx_max = 128};
    return {};
  }
  Result<> get_coalesce(Coalesce& coalesce) {
    coalesce = kept;
    return {};
  }
  Result<> set_coalesce(const Coalesce& wish) {
    if (wish.rx_usecs > 100) return fail(std::errc::invalid_argument);
    kept = wish;
    return {};
  }
  Result<> get_ethtool_stats(std::vector<NamedCounter>& counters) {
    counters = {{"rx_fifo", 3}, {"tx_late", 4}};
    return {};
  }
  Result<> get_regs(std::vector<RegisterValue>& registers) {
    registers = {{"CR", 0x12e, 0x18}};
    return {};
  }
  Result<> private_ioctl(uint32_t command, std::span<std::byte> data) {
    if (command != 3) return fail(std::errc::operation_not_supported);
    for (std::byte& octet : data) octet ^= std::byte{0xff};
    return {};
  }
  Result<> mii_ioctl(MiiRequest& request) {
    if (request.what == MiiRequest::What::kWhichPhy) request.phy = 1;
    if (request.what == MiiRequest::What::kRead) request.value = static_cast<uint16_t>(0x7800 + request.register_);
    return {};
  }
  Coalesce kept;
  bool rtnl_was_held = false;

 private:
  NetDevice& dev_;
};

struct EthtoolTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<TalkingDriver>({.name = "talks"});
  TalkingDriver& driver = *static_cast<TalkingDriver*>(dev->driver());
};

TEST_F(EthtoolTest, ADriverIsAskedWithoutRtnl) {
  ASSERT_TRUE(dev->register_netdev());
  const Reports reports;
  const Result<DriverInfo> info = driver_info(*dev);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->driver, "TalkingDriver");
  EXPECT_EQ(info->version + " " + info->bus, "7 usb:1-2");
  EXPECT_FALSE(driver.rtnl_was_held);
  ASSERT_TRUE(link_settings(*dev));
  EXPECT_EQ(link_settings(*dev)->speed_mbps, 100u);
  EXPECT_EQ(ring_param(*dev)->rx_max, 128u);
  EXPECT_EQ(named_counters(*dev)->at(1).name, "tx_late");
  EXPECT_EQ(register_dump(*dev)->at(0).value, 0x18u);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(EthtoolTest, ARefusedWishChangesNothing) {
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(set_coalesce(*dev, {.rx_usecs = 50}));
  EXPECT_EQ(outcome(set_coalesce(*dev, {.rx_usecs = 5000})), "EINVAL");
  EXPECT_EQ(coalesce(*dev)->rx_usecs, 50u);
}

TEST_F(EthtoolTest, OneThatDoesNotSayAnswersNotSupported) {
  const NetdevPtr plain = *net.alloc_netdev<PlainDriver>({.name = "plain"});
  ASSERT_TRUE(plain->register_netdev());
  EXPECT_EQ(driver_info(*plain)->driver, "PlainDriver") << "the core knows that much";
  EXPECT_EQ(outcome(link_settings(*plain)), "EOPNOTSUPP");
  EXPECT_EQ(outcome(register_dump(*plain)), "EOPNOTSUPP");
  MiiRequest request;
  EXPECT_EQ(outcome(mii_ioctl(*plain, request)), "EOPNOTSUPP");
}

TEST_F(EthtoolTest, OneThatIsAwayIsNotAsked) {
  EXPECT_EQ(outcome(driver_info(*dev)), "ENODEV") << "not registered yet";
  ASSERT_TRUE(dev->register_netdev() && dev->detach());
  EXPECT_EQ(outcome(ring_param(*dev)), "ENODEV");
  EXPECT_EQ(outcome(private_ioctl(*dev, 3, {})), "ENODEV");
  ASSERT_TRUE(dev->attach());
  EXPECT_TRUE(ring_param(*dev));
}

TEST_F(EthtoolTest, RequestsOfADriversOwnAreReadAndWrittenInPlace) {
  ASSERT_TRUE(dev->register_netdev());
  std::byte data[2] = {std::byte{1}, std::byte{2}};
  EXPECT_EQ(outcome(private_ioctl(*dev, 3, data)), "ok");
  EXPECT_EQ(data[1], std::byte{0xfd});
  EXPECT_EQ(outcome(private_ioctl(*dev, 4, data)), "EOPNOTSUPP");
  EXPECT_EQ(outcome(private_ioctl(*dev, 16, data)), "EINVAL");
}

TEST_F(EthtoolTest, ATransceiverIsReadByItsNumber) {
  ASSERT_TRUE(dev->register_netdev());
  MiiRequest request{.what = MiiRequest::What::kWhichPhy};
  ASSERT_TRUE(mii_ioctl(*dev, request));
  EXPECT_EQ(request.phy, 1u);
  request.what = MiiRequest::What::kRead, request.register_ = 4;
  ASSERT_TRUE(mii_ioctl(*dev, request));
  EXPECT_EQ(request.value, 0x7804u);
  request.register_ = 32;
  EXPECT_EQ(outcome(mii_ioctl(*dev, request)), "EINVAL");
}

}  // namespace
}  // namespace usernic
