// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/rtl8150/rtl8150.h"

#include "bus/usbnet/life_tests.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

struct Rtl8150Test : ::testing::Test {
  void SetUp() override {
    ASSERT_TRUE(adapter.probe());
    ASSERT_TRUE(adapter.dev->open());
    ASSERT_TRUE(adapter.settled());
  }
  uint64_t writes() const { return adapter.plug->counts().vendor_writes.load(); }
  Adapter adapter;
  NetDevice& dev() { return *adapter.dev; }
};

TEST_F(Rtl8150Test, TheAddressIsTheAdaptersAndAnotherIsSet) {
  EXPECT_EQ(dev().address(), kPermanent);
  ASSERT_TRUE(dev().set_mac_address(unicast(7)));
  EXPECT_EQ(adapter.model.filter().own, unicast(7));
  EXPECT_TRUE(adapter.hears(unicast(7)));
  EXPECT_FALSE(adapter.hears(kPermanent));
}

TEST_F(Rtl8150Test, FramesOfEveryLengthGoBothWays) {
  usb::frames_of_every_length(adapter, kFrameMin, true);
  EXPECT_EQ(adapter.model.counters().runts.load(), 0u);
}

TEST_F(Rtl8150Test, AFrameThatIsTooLongIsDropped) {
  ReportHandler before =
      set_report_handler([](const ContractReport& report) { EXPECT_EQ(report.rule, "frame-too-long"); });
  EXPECT_EQ(adapter.xmit(std::vector<uint8_t>(kFrameMax + 1)), 0u);
  (void)set_report_handler(std::move(before));
  EXPECT_EQ(dev().stats().tx_dropped, 1u);
}

TEST_F(Rtl8150Test, ASenderThatIsFasterThanTheBusIsStoppedAndWoken) {
  EXPECT_GT(usb::send_faster_than_the_bus(adapter, 5000), 0u);
}

TEST_F(Rtl8150Test, TheLinkIsTheCarrier) {
  EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  usb::link_goes_and_comes(adapter);
  ASSERT_TRUE(dev().close());
  EXPECT_FALSE(dev().carrier_ok());
  adapter.model.set_link(false);
  ASSERT_TRUE(dev().open());
  EXPECT_FALSE(dev().carrier_ok());
}

TEST_F(Rtl8150Test, AGroupIsOneControlTransferAndSoIsLeavingIt) {
  const uint64_t before = writes();
  ASSERT_TRUE(dev().mc().add(multicast(1)) && adapter.settled());
  EXPECT_EQ(writes(), before + 1);
  ASSERT_TRUE(dev().mc().del(multicast(1)) && adapter.settled());
  EXPECT_EQ(writes(), before + 2);
  EXPECT_EQ(adapter.model.filter().hash, std::vector<uint8_t>(8));
}

TEST_F(Rtl8150Test, AWantedUnicastIsPromiscuityAndNoLongerThanItIsWanted) {
  ASSERT_TRUE(dev().uc().add(unicast(1)) && adapter.settled());
  EXPECT_EQ(adapter.model.filter().accept & kRcrAllPhysical, kRcrAllPhysical);
  EXPECT_TRUE(adapter.hears(unicast(1)));
  ASSERT_TRUE(dev().uc().del(unicast(1)) && adapter.settled());
  EXPECT_EQ(adapter.model.filter().accept & (kRcrAllPhysical | kRcrAllmulti), 0);
}

TEST_F(Rtl8150Test, PromiscuityOffLeavesAllmultiOn) {
  usb::promiscuity_off_leaves_allmulti(adapter);
}

TEST_F(Rtl8150Test, ACommandThatFailsIsTriedAgain) {
  usb::commands_fail_and_are_tried_again(adapter, 2);
}

TEST_F(Rtl8150Test, ChangesDoNotWaitForACommandNorDoesTheirNumberBecomeCommands) {
  const uint64_t before = writes();
  usb::change_much_while_a_command_runs(adapter);
  EXPECT_LE(writes() - before, 2 * kBuckets);
}

TEST_F(Rtl8150Test, CloseDoesNotWaitForACommand) {
  adapter.plug->faults().control_ns.store(3'600'000'000'000);
  ASSERT_TRUE(dev().mc().add(multicast(1)));
  const uint64_t controls = adapter.plug->counts().controls.load();
  Thread closer("closer", [&] { EXPECT_TRUE(dev().close()); });
  closer.join();  // its own write is given up at its deadline
  EXPECT_EQ(adapter.plug->counts().controls.load(), controls);
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(dev().open() && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(1)));
}

TEST_F(Rtl8150Test, AStalledEndpointIsClearedAndFramesGoOn) {
  usb::stall_and_go_on(adapter, {kBulkIn, kBulkOut, kInterruptIn});
}

TEST_F(Rtl8150Test, ClosedAndOpenedAgainItReceivesAsBefore) {
  usb::close_and_open_again(adapter);
}

TEST(Rtl8150ProbeTest, AnotherKindOfDeviceIsNotTaken) {
  usb::takes_no_stranger<Rtl8150>();
}

}  // namespace
}  // namespace usernic::rtl8150
