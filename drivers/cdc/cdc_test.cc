// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/cdc.h"

#include "bus/usbnet/life_tests.h"
#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

struct CdcTest : ::testing::TestWithParam<Kind> {
  void SetUp() override {
    ASSERT_TRUE(adapter.probe());
    ASSERT_TRUE(adapter.dev->open());
    ASSERT_TRUE(adapter.settled());
    ASSERT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  }
  uint64_t controls() const { return adapter.plug->counts().controls.load(); }
  Make make = GetParam().make;
  Adapter adapter{make};
  NetDevice& dev() { return *adapter.dev; }
};

TEST_P(CdcTest, TheAddressIsTheFunctionsAndAnotherIsSet) {
  EXPECT_EQ(dev().address(), kPermanent);
  ASSERT_TRUE(dev().set_mac_address(unicast(7)));
  EXPECT_TRUE(adapter.hears(unicast(7)));
  const bool told = (make.framing == Framing::kNcm) && (make.capabilities & kCanSetAddress) != 0;
  EXPECT_EQ(adapter.model.filter().own, told ? unicast(7) : kPermanent);
  EXPECT_EQ(adapter.model.filter().promisc, !told);
  ASSERT_TRUE(dev().close() && dev().open() && adapter.settled());
  EXPECT_TRUE(adapter.hears(unicast(7)));
  ASSERT_TRUE(dev().set_mac_address(kPermanent));
  EXPECT_TRUE(adapter.hears(kPermanent));
  EXPECT_FALSE(adapter.hears(unicast(7)));
}

TEST_P(CdcTest, FramesOfEveryLengthGoBothWays) {
  usb::frames_of_every_length(adapter, kFrameMin, false);
  EXPECT_EQ(adapter.model.counters().bad.load(), 0u);
}

TEST_P(CdcTest, ASenderThatIsFasterThanTheBusIsStoppedAndWoken) {
  constexpr uint32_t kFrames = 5000;
  usb::send_faster_than_the_bus(adapter, kFrames);
  EXPECT_EQ(adapter.model.counters().bad.load(), 0u);
  EXPECT_LE(adapter.model.counters().transfers.load(), make.framing == Framing::kEcm ? kFrames : kFrames / 2);
}

TEST_P(CdcTest, FramesThatCameTogetherAreReceivedInOrder) {
  std::vector<std::vector<uint8_t>> frames;
  for (uint32_t number = 0; number < 8; ++number)
    frames.push_back(make_frame(kPermanent, 0x5000 + number, 60 + number));
  std::vector<std::span<const uint8_t>> together(frames.begin(), frames.end());
  for (const bool crc : {false, true}) {
    adapter.model.set_crc(crc);
    ASSERT_TRUE(adapter.model.receive_together(together));
    ASSERT_TRUE(adapter.through());
    const uint32_t times = crc ? 2 : 1;
    for (uint32_t number = 0; number < (make.framing == Framing::kEcm ? 1 : 8); ++number) {
      EXPECT_EQ(adapter.listener.seen(0x5000 + number), times);
    }
  }
  EXPECT_EQ(dev().stats().rx_errors, 0u);
}

TEST_P(CdcTest, TheLinkIsTheCarrierAndItsSpeedIsKnown) {
  EXPECT_TRUE(make.framing == Framing::kEcm || adapter.driver().bits_per_second() == 100'000'000);
  usb::link_goes_and_comes(adapter);
  EXPECT_TRUE(eventually([&] { return adapter.driver().bits_per_second() == 100'000'000; }));
  ASSERT_TRUE(dev().close());
  EXPECT_FALSE(dev().carrier_ok());
  adapter.model.set_link(false);
  ASSERT_TRUE(dev().open());
  EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
}

TEST_P(CdcTest, AWantedUnicastIsPromiscuityAndNoLongerThanItIsWanted) {
  ASSERT_TRUE(dev().uc().add(unicast(1)) && adapter.settled());
  EXPECT_TRUE(adapter.hears(unicast(1)));
  ASSERT_TRUE(dev().uc().del(unicast(1)) && adapter.settled());
  EXPECT_FALSE(adapter.model.filter().promisc);
  EXPECT_FALSE(adapter.model.filter().allmulti);
}

TEST_P(CdcTest, PromiscuityOffLeavesAllmultiOn) {
  usb::promiscuity_off_leaves_allmulti(adapter);
}

TEST_P(CdcTest, ACommandThatFailsIsTriedAgain) {
  usb::commands_fail_and_are_tried_again(adapter, 3);
}

TEST_P(CdcTest, ChangesDoNotWaitForACommandNorDoesTheirNumberBecomeCommands) {
  const uint64_t before = controls();
  usb::change_much_while_a_command_runs(adapter);
  EXPECT_LE(controls() - before, 200u);
}

TEST_P(CdcTest, CloseDoesNotWaitForACommand) {
  usb::close_while_a_command_is_stuck(adapter);
}

TEST_P(CdcTest, AStalledEndpointIsClearedAndFramesGoOn) {
  usb::stall_and_go_on(adapter, {0x81, 0x02, 0x83});
}

TEST_P(CdcTest, ClosedAndOpenedAgainItReceivesAsBefore) {
  usb::close_and_open_again(adapter);
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcTest, ::testing::ValuesIn(kKinds), name_of);

// --- Of those that have a list of groups ---

struct CdcListTest : CdcTest {};

TEST_P(CdcListTest, GroupsThatComeTogetherAreOneListAndNoMore) {
  for (uint64_t n = 1; n <= 8; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)) && (n > 1 || adapter.settled()));
  ASSERT_TRUE(adapter.settled());
  EXPECT_EQ(adapter.model.filter().multicast.size(), 8u);
  EXPECT_FALSE(adapter.model.filter().allmulti);
  ASSERT_TRUE(dev().mc().del(multicast(1)) && adapter.settled());
  EXPECT_EQ(adapter.model.filter().multicast.size(), 7u);
  const uint64_t before = controls();
  ASSERT_TRUE(dev().mc().add(multicast(9)) && adapter.settled());
  EXPECT_TRUE(adapter.model.accepts(multicast(9)));
  // RNDIS looks for each answer until it is there.
  EXPECT_TRUE(make.framing == Framing::kRndis || controls() == before + 1);
}

TEST_P(CdcListTest, InAFullListOneLeavesAndAnotherTakesItsPlace) {
  for (uint64_t n = 1; n <= 8; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  for (uint64_t n = 9; n <= 30; ++n) {
    ASSERT_TRUE(dev().mc().del(multicast(n - 8)) && dev().mc().add(multicast(n)) && adapter.settled());
    EXPECT_TRUE(adapter.model.accepts(multicast(n)));
    EXPECT_TRUE(adapter.model.accepts(multicast(n - 7)));
  }
  EXPECT_TRUE(eventually([&] { return !adapter.model.filter().allmulti; }));
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcListTest, ::testing::ValuesIn(kListed), name_of);

// --- What a maker may decide ---

TEST(CdcMakeTest, TheMtuIsWhatASegmentHolds) {
  for (const Framing framing : {Framing::kEcm, Framing::kNcm, Framing::kRndis}) {
    Adapter adapter({.framing = framing, .segment = 4014});
    ASSERT_TRUE(adapter.probe());
    EXPECT_EQ(adapter.dev->mtu_max(), 4000u);
    ASSERT_TRUE(adapter.dev->change_mtu(4000));
    ASSERT_TRUE(adapter.dev->open());
    ASSERT_TRUE(eventually([&] { return adapter.dev->carrier_ok(); }));
    const auto frame = make_frame(kPermanent, 0x4001, 4018);
    ASSERT_EQ(adapter.xmit(frame), 1u);
    ASSERT_TRUE(adapter.ear.wait(1));
    EXPECT_EQ(adapter.ear.frames().back(), frame);
    ASSERT_TRUE(adapter.model.receive(frame));
    ASSERT_TRUE(adapter.listener.wait_seen(0x4001));
    EXPECT_EQ(adapter.listener.last(), frame);
  }
  Adapter small({.segment = 1000});
  EXPECT_EQ(small.probe().error(), std::errc::invalid_argument) << "an MTU of 1500 is too large for it";
}

TEST(CdcMakeTest, WithoutAnInterruptEndpointTheLinkIsUp) {
  for (const Framing framing : {Framing::kEcm, Framing::kNcm, Framing::kRndis}) {
    Adapter adapter({.framing = framing, .notifies = false});
    ASSERT_TRUE(adapter.probe());
    ASSERT_TRUE(adapter.dev->open());
    EXPECT_TRUE(adapter.dev->carrier_ok());
    EXPECT_TRUE(adapter.through());
  }
}

TEST(CdcMakeTest, AFunctionThatTakesOneDatagramAtATimeGetsOne) {
  Adapter adapter({.framing = Framing::kNcm, .datagrams = 1});
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  ASSERT_TRUE(eventually([&] { return adapter.dev->carrier_ok(); }));
  for (uint32_t n = 0; n < 4; ++n) ASSERT_EQ(adapter.xmit(make_frame(kOther, n)), 1u);
  ASSERT_TRUE(adapter.ear.wait(4));
  EXPECT_EQ(adapter.model.counters().bad.load(), 0u);
}

TEST(CdcMakeTest, AFunctionWithoutAFilterPassesGroupsAndIsNotPromiscuous) {
  Adapter adapter({.framing = Framing::kNcm, .multicasts = 0, .capabilities = 0});
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  ASSERT_TRUE(adapter.dev->mc().add(multicast(1)) && adapter.settled());
  EXPECT_TRUE(adapter.dev->rx_mode().covered(multicast(1)));
  EXPECT_FALSE(adapter.dev->set_mac_address(unicast(1)));
  EXPECT_EQ(adapter.dev->address(), kPermanent);
}

TEST(CdcMakeTest, AnotherAdapterInItsPlaceCarriesOnWithTheAddress) {
  Model other({.framing = Framing::kEcm}, unicast(99));
  Adapter adapter({.framing = Framing::kEcm});
  // The place is a server that exports one model, then the other.
  auto server = *usb::UsbipServer::create(*adapter.plug, "1-1", "127.0.0.1", 0);
  const uint16_t tcp_port = server->tcp_port();
  adapter.port = std::make_shared<usb::UsbipPort>("127.0.0.1", tcp_port, "1-1", std::chrono::milliseconds(10));
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open() && adapter.settled());
  server = nullptr;
  ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
  usb::EmulatedPort other_plug(other, "emulated:other");
  Result<std::unique_ptr<usb::UsbipServer>> again = fail(std::errc::io_error);
  ASSERT_TRUE(eventually([&] {
    again = usb::UsbipServer::create(other_plug, "1-1", "127.0.0.1", tcp_port);
    return again.has_value();
  }));
  ASSERT_TRUE(adapter.back());
  EXPECT_EQ(adapter.dev->address(), kPermanent);
  EXPECT_TRUE(other.filter().promisc);
  EXPECT_TRUE(other.receive(make_frame(kPermanent, 0x4001)));
  EXPECT_TRUE(adapter.listener.wait_seen(0x4001));
  adapter.dev->detach_port();
  adapter.dev = nullptr;
}

}  // namespace
}  // namespace usernic::cdc
