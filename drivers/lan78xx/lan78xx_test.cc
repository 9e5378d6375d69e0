// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/lan78xx.h"

#include <bit>

#include "bus/usbnet/life_tests.h"
#include "drivers/lan78xx/adapter_fixture.h"

namespace usernic::lan78xx {
namespace {

struct Lan78xxTest : ::testing::Test {
  void SetUp() override {
    ASSERT_TRUE(adapter.probe());
    ASSERT_TRUE(adapter.dev->open());
    ASSERT_TRUE(adapter.settled());
  }
  uint64_t controls() const { return adapter.plug->counts().controls.load(); }
  uint64_t counter(std::string_view name) {
    const auto counters = named_counters(dev());
    EXPECT_TRUE(counters);
    for (const NamedCounter& each : counters.value_or(std::vector<NamedCounter>())) {
      if (each.name == name) return each.value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
  Adapter adapter;
  NetDevice& dev() { return *adapter.dev; }
};

TEST_F(Lan78xxTest, TheAddressIsTheAdaptersAndAnotherIsSet) {
  EXPECT_EQ(dev().address(), kPermanent);
  ASSERT_TRUE(dev().set_mac_address(unicast(7)));
  EXPECT_EQ(adapter.model.filter().own, unicast(7));
  EXPECT_TRUE(adapter.hears(unicast(7)));
  EXPECT_FALSE(adapter.hears(kPermanent));
}

TEST_F(Lan78xxTest, AnAddressThatIsRefusedLeavesTheOneBefore) {
  uint32_t refused = 0;
  for (uint64_t n = 1; n <= 40; ++n) {
    const MacAddress before = dev().address();
    adapter.plug->faults().fail_every.store(5 + n % 7);  // each transfer has its turn
    const MacAddress other = unicast(n << 24 | n);       // in both words of it
    const bool set = dev().set_mac_address(other).has_value();
    adapter.plug->faults().fail_every.store(0);
    EXPECT_EQ(dev().address(), set ? other : before);
    EXPECT_EQ(adapter.model.filter().own, dev().address());
    refused += set ? 0 : 1;
  }
  EXPECT_GT(refused, 0u);
}

TEST_F(Lan78xxTest, FramesOfEveryLengthGoBothWays) {
  usb::frames_of_every_length(adapter, kFrameMin, true);
  EXPECT_EQ(adapter.model.counters().bad.load(), 0u);
}

TEST_F(Lan78xxTest, AJumboGoesBothWaysWhenTheMtuIsSo) {
  const std::vector<uint8_t> jumbo = make_frame(dev().address(), 1, kMtuMax + kHeaderBytes);
  EXPECT_FALSE(adapter.model.receive(jumbo));
  EXPECT_EQ(counter("rx_oversize"), 1u);
  ASSERT_TRUE(dev().change_mtu(kMtuMax));
  ASSERT_TRUE(adapter.model.receive(jumbo));
  ASSERT_TRUE(adapter.listener.wait_seen(1));
  EXPECT_EQ(adapter.listener.last(), jumbo);
  ASSERT_EQ(adapter.xmit(jumbo), 1u);
  ASSERT_TRUE(adapter.ear.wait(1));
  EXPECT_EQ(adapter.ear.frames().back(), jumbo);
  ASSERT_TRUE(dev().close() && dev().open() && adapter.settled());
  EXPECT_TRUE(adapter.model.receive(jumbo));
  ASSERT_TRUE(dev().change_mtu(1500));
  EXPECT_FALSE(adapter.model.receive(jumbo));
  EXPECT_TRUE(adapter.through());
  EXPECT_FALSE(dev().change_mtu(kMtuMax + 1));
}

TEST_F(Lan78xxTest, SeveralFramesAreOneTransferBothWays) {
  std::vector<std::vector<uint8_t>> frames;
  for (uint32_t n = 0; n < 100; ++n) frames.push_back(make_frame(dev().address(), n, 60 + n % 7));
  const std::vector<std::span<const uint8_t>> spans(frames.begin(), frames.end());
  const uint64_t before = adapter.plug->counts().transfers.load();
  ASSERT_TRUE(adapter.model.receive_together(spans));
  for (uint32_t n = 0; n < 100; ++n) EXPECT_TRUE(adapter.listener.wait_seen(n)) << n;
  EXPECT_LE(adapter.plug->counts().transfers.load() - before, 2u);
  SkbBatch batch;
  for (const auto& frame : frames) {
    Skb* const skb = adapter.frames.alloc();
    std::ranges::copy(frame, skb->put(static_cast<uint32_t>(frame.size())));
    batch.push_back(*skb);
  }
  EXPECT_EQ(dev().xmit(dev().tx_queue(0), batch), 100u);
  ASSERT_TRUE(adapter.ear.wait(100));
  EXPECT_EQ(adapter.ear.frames(), frames);
  EXPECT_LE(adapter.model.counters().transfers.load(), 2u);
}

TEST_F(Lan78xxTest, ATransferOfMoreFramesThanThePoolHasLosesNone) {
  std::vector<std::vector<uint8_t>> frames;
  for (uint32_t n = 0; n < 150; ++n) frames.push_back(make_frame(dev().address(), n, 60));
  const std::vector<std::span<const uint8_t>> spans(frames.begin(), frames.end());
  ASSERT_TRUE(adapter.model.receive_together(spans));
  for (uint32_t n = 0; n < 150; ++n) EXPECT_TRUE(adapter.listener.wait_seen(n)) << n;
}

TEST_F(Lan78xxTest, ASenderThatIsFasterThanTheBusIsStoppedAndWoken) {
  usb::send_faster_than_the_bus(adapter, 5000);
}

TEST_F(Lan78xxTest, TheLinkIsTheCarrierAndWhatWasNegotiated) {
  EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  EXPECT_EQ(link_settings(dev())->speed_mbps, 1000u);
  EXPECT_EQ(link_settings(dev())->duplex, Duplex::kFull);
  EXPECT_TRUE(link_settings(dev())->autoneg);
  usb::link_goes_and_comes(adapter);
  ASSERT_TRUE(dev().close());
  EXPECT_FALSE(dev().carrier_ok());
  adapter.model.set_link(false);
  ASSERT_TRUE(dev().open());
  EXPECT_FALSE(dev().carrier_ok());
  EXPECT_EQ(link_settings(dev())->speed_mbps, 0u);
}

TEST_F(Lan78xxTest, ClosedItHasNoSpeed) {
  EXPECT_EQ(link_settings(dev())->speed_mbps, 1000u);
  ASSERT_TRUE(dev().close());
  EXPECT_EQ(link_settings(dev())->speed_mbps, 0u);
}

TEST_F(Lan78xxTest, ALookAtTheLinkThatFailsIsTakenAgain) {
  bool up = false;
  for (const uint32_t every : {2, 3, 5, 7, 11}) {
    const uint64_t before = controls();
    adapter.plug->faults().fail_every.store(every);
    adapter.model.set_link(up);
    EXPECT_TRUE(eventually([&] { return controls() > before + every; }));
    adapter.plug->faults().fail_every.store(0);
    EXPECT_TRUE(eventually([&] { return dev().carrier_ok() == up; })) << every;
    up = !up;
  }
}

TEST_F(Lan78xxTest, ThePhyIsReadAndWritten) {
  MiiRequest request{.what = MiiRequest::What::kWhichPhy};
  ASSERT_TRUE(mii_ioctl(dev(), request));
  EXPECT_EQ(request.phy, kPhyInside);
  request = {.phy = kPhyInside, .register_ = usb::mii::kIdHigh};
  ASSERT_TRUE(mii_ioctl(dev(), request));
  EXPECT_EQ(request.value, kPhyIdHigh);
  // Who offers nothing has no link.
  for (const uint8_t which : {usb::mii::kAdvertised, usb::mii::kGigabitAdvertised}) {
    request = {.what = MiiRequest::What::kWrite, .phy = kPhyInside, .register_ = which, .value = 1};
    ASSERT_TRUE(mii_ioctl(dev(), request));
  }
  request = {.what = MiiRequest::What::kWrite,
             .phy = kPhyInside,
             .register_ = usb::mii::kControl,
             .value = usb::mii::kNegotiate | usb::mii::kRestart};
  ASSERT_TRUE(mii_ioctl(dev(), request));
  EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
}

TEST(Lan78xxPhyTest, OneOutsideIsFound) {
  Adapter adapter(false, 0x7801);
  ASSERT_TRUE(adapter.probe() && adapter.dev->open());
  EXPECT_TRUE(eventually([&] { return adapter.dev->carrier_ok(); }));
  MiiRequest request{.what = MiiRequest::What::kWhichPhy};
  ASSERT_TRUE(mii_ioctl(*adapter.dev, request));
  EXPECT_EQ(request.phy, 3u);
  usb::link_goes_and_comes(adapter);
}

// --- Filter ---

TEST_F(Lan78xxTest, AnAddressIsTwoTransfersAndItsEndIsOne) {
  const MacAddress both[] = {multicast(1), unicast(1)};
  for (const MacAddress& address : both) {
    AddressList& list = address.is_multicast() ? dev().mc() : dev().uc();
    uint64_t before = controls();
    ASSERT_TRUE(list.add(address) && adapter.settled());
    EXPECT_EQ(controls(), before + 2);
    EXPECT_EQ(address.is_multicast() ? adapter.model.filter().multicast : adapter.model.filter().unicast,
              std::vector<MacAddress>{address});
    EXPECT_TRUE(adapter.hears(address));
    before = controls();
    ASSERT_TRUE(list.del(address) && adapter.settled());
    EXPECT_EQ(controls(), before + 1);
    EXPECT_FALSE(adapter.hears(address));
  }
}

TEST_F(Lan78xxTest, GroupsThatFindNoPerfectFilterAreHashed) {
  for (uint64_t n = 1; n <= Adapter::kOverflow; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  usb::NicFilter filter = adapter.model.filter();
  EXPECT_FALSE(filter.allmulti);
  EXPECT_NE(filter.hash, std::vector<uint8_t>(kBuckets / 8));
  for (uint64_t n = 1; n <= Adapter::kOverflow; ++n) EXPECT_TRUE(adapter.hears(multicast(n))) << n;
  EXPECT_FALSE(adapter.hears(foreign_group()));
  for (uint64_t n = 1; n <= Adapter::kOverflow; ++n) ASSERT_TRUE(dev().mc().del(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  filter = adapter.model.filter();
  EXPECT_EQ(filter.hash, std::vector<uint8_t>(kBuckets / 8));
  EXPECT_TRUE(filter.multicast.empty());
}

// The RAM is not empty after power on.
TEST_F(Lan78xxTest, TheFirstBucketIsTheOnlyOne) {
  for (uint64_t n = 1; n <= 33; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  const usb::NicFilter filter = adapter.model.filter();
  size_t buckets = 0;
  for (const uint8_t octet : filter.hash) buckets += static_cast<size_t>(std::popcount(octet));
  EXPECT_EQ(buckets, 33 - filter.multicast.size());
  EXPECT_GT(buckets, 0u);
}

TEST_F(Lan78xxTest, UnicastsThatFindNoPerfectFilterArePromiscuity) {
  for (uint64_t n = 1; n <= 40; ++n) ASSERT_TRUE(dev().uc().add(unicast(n)));
  ASSERT_TRUE(adapter.settled());
  EXPECT_TRUE(adapter.model.filter().promisc);
  for (uint64_t n = 11; n <= 40; ++n) ASSERT_TRUE(dev().uc().del(unicast(n)));
  ASSERT_TRUE(adapter.settled());
  EXPECT_FALSE(adapter.model.filter().promisc);
  for (uint64_t n = 1; n <= 10; ++n) EXPECT_TRUE(adapter.model.accepts(unicast(n)));
  EXPECT_FALSE(adapter.model.accepts(unicast(11)));
}

TEST_F(Lan78xxTest, PromiscuityOffLeavesAllmultiOn) {
  usb::promiscuity_off_leaves_allmulti(adapter);
}

TEST_F(Lan78xxTest, ACommandThatFailsIsTriedAgain) {
  usb::commands_fail_and_are_tried_again(adapter, 3);
}

// Written whole it is hundreds of transfers, of which some fail.
TEST_F(Lan78xxTest, ATableThatFailsIsWrittenInTheEnd) {
  RxMode& mode = dev().rx_mode();
  adapter.plug->faults().fail_every.store(97);
  for (uint64_t n = 1; n <= Adapter::kOverflow; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  for (uint16_t id = 1; id <= 20; ++id) ASSERT_TRUE(mode.vlan_add(id));
  ASSERT_TRUE(mode.set_vlan_filter(true) && adapter.settled());
  for (uint64_t n = 1; n <= Adapter::kOverflow; ++n) EXPECT_TRUE(adapter.model.accepts(multicast(n)));
  EXPECT_FALSE(adapter.model.accepts(foreign_group()));
  std::vector<uint16_t> vlans(21);
  for (uint16_t id = 0; id <= 20; ++id) vlans[id] = id;
  EXPECT_EQ(adapter.model.filter().vlans, vlans);
}

TEST_F(Lan78xxTest, ChangesDoNotWaitForACommandNorDoesTheirNumberBecomeCommands) {
  const uint64_t before = controls();
  usb::change_much_while_a_command_runs(adapter);
  EXPECT_LE(controls() - before, 2 * 4 * (kBuckets + kHashWords + kMafs));
}

TEST_F(Lan78xxTest, CloseDoesNotWaitForACommand) {
  usb::close_while_a_command_is_stuck(adapter);
}

TEST_F(Lan78xxTest, AStalledEndpointIsClearedAndFramesGoOn) {
  usb::stall_and_go_on(adapter, {kBulkIn, kBulkOut, kInterruptIn});
}

TEST_F(Lan78xxTest, ClosedAndOpenedAgainItReceivesAsBefore) {
  usb::close_and_open_again(adapter);
}

// --- Counters ---

TEST_F(Lan78xxTest, TheChipCounts) {
  ASSERT_TRUE(adapter.through());
  const uint64_t before = counter("rx_broadcast");
  EXPECT_GT(before, 0u);
  ASSERT_TRUE(adapter.through());
  EXPECT_EQ(counter("rx_broadcast"), before + 1);
  EXPECT_EQ(counter("rx_64"), before + 1);
  ASSERT_EQ(adapter.xmit(make_frame(multicast(1), 1, 600)), 1u);
  ASSERT_TRUE(adapter.ear.wait(1));
  EXPECT_EQ(counter("tx_multicast"), 1u);
  EXPECT_EQ(counter("tx_multicast_octets"), 604u);
  EXPECT_EQ(counter("tx_512_1023"), 1u);
  adapter.plug->unplug();
  ASSERT_TRUE(eventually([&] { return !dev().present(); }));
  EXPECT_FALSE(named_counters(dev()));
}

TEST(Lan78xxProbeTest, AnotherKindOfDeviceIsNotTaken) {
  usb::takes_no_stranger<Lan78xx>();
}

}  // namespace
}  // namespace usernic::lan78xx
