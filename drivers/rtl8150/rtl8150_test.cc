// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/rtl8150/rtl8150.h"

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
  uint32_t number = 0x4000;
  size_t sent = 0;
  for (const uint32_t size : {18u, 59u, 60u, 64u, 124u, 128u, 512u, 1024u, 1513u, 1514u, 1518u}) {
    const std::vector<uint8_t> frame = make_frame(kPermanent, ++number, size);
    ASSERT_EQ(adapter.xmit(frame), 1u);
    ASSERT_TRUE(adapter.ear.wait(++sent));
    std::vector<uint8_t> padded = frame;
    padded.resize(std::max<size_t>(size, kFrameMin));
    EXPECT_EQ(adapter.ear.frames().back(), padded) << size;
    ASSERT_TRUE(adapter.model.receive(frame));
    ASSERT_TRUE(adapter.listener.wait_seen(number));
    EXPECT_EQ(adapter.listener.last(), padded) << size;
  }
  EXPECT_EQ(adapter.model.counters().runts.load(), 0u);
  EXPECT_EQ(dev().stats().rx_errors, 0u);
}

TEST_F(Rtl8150Test, AFrameThatIsTooLongIsDropped) {
  ReportHandler before =
      set_report_handler([](const ContractReport& report) { EXPECT_EQ(report.rule, "frame-too-long"); });
  EXPECT_EQ(adapter.xmit(std::vector<uint8_t>(kFrameMax + 1)), 0u);
  (void)set_report_handler(std::move(before));
  EXPECT_EQ(dev().stats().tx_dropped, 1u);
}

TEST_F(Rtl8150Test, ASenderThatIsFasterThanTheBusIsStoppedAndWoken) {
  constexpr uint32_t kFrames = 5000;
  SkbBatch batch;
  uint32_t sent = 0, stops = 0;
  for (uint32_t made = 0; sent < kFrames;) {
    for (; made < kFrames && batch.size() < 32; ++made) {
      const auto frame = make_frame(kOther, made);
      Skb* const skb = adapter.frames.alloc();
      ASSERT_NE(skb, nullptr);
      std::copy(frame.begin(), frame.end(), skb->put(60));
      batch.push_back(*skb);
    }
    const uint32_t news = adapter.listener.news_count();
    sent += dev().xmit(dev().tx_queue(0), batch);
    if (!batch.empty() && dev().tx_queue(0).stopped()) {
      ++stops;
      ASSERT_TRUE(adapter.listener.wait_news(news));
    }
  }
  ASSERT_TRUE(adapter.ear.wait(kFrames));
  const auto frames = adapter.ear.frames();
  for (uint32_t number = 0; number < kFrames; ++number) ASSERT_EQ(number_of(frames[number]), number);
  EXPECT_GT(stops, 0u);
}

TEST_F(Rtl8150Test, TheLinkIsTheCarrier) {
  EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  adapter.model.set_link(false);
  EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
  adapter.model.set_link(true);
  EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
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
  ASSERT_TRUE(dev().rx_mode().set_allmulti(1) && dev().rx_mode().set_promiscuity(1) && adapter.settled());
  ASSERT_TRUE(dev().rx_mode().set_promiscuity(-1) && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(5)));
  EXPECT_FALSE(adapter.hears(unicast(5)));
}

TEST_F(Rtl8150Test, ACommandThatFailsIsTriedAgain) {
  adapter.plug->faults().fail_every.store(2);
  for (uint64_t n = 1; n <= 10; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  for (uint64_t n = 1; n <= 10; ++n) EXPECT_TRUE(adapter.model.accepts(multicast(n)));
}

TEST_F(Rtl8150Test, ChangesDoNotWaitForACommandNorDoesTheirNumberBecomeCommands) {
  adapter.plug->faults().control_ns.store(20'000'000);
  const uint64_t before = writes();
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(dev().mc().del(multicast(n)));
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(adapter.settled());
  EXPECT_LE(writes() - before, 2 * kBuckets);
  EXPECT_LE(adapter.plug->counts().in_flight_max.load(), 1u);
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
  for (const uint8_t endpoint : {kBulkIn, kBulkOut, kInterruptIn}) {
    adapter.plug->halt(endpoint);
    EXPECT_TRUE(eventually([&] {
      adapter.xmit(make_frame(kOther, 1));
      return dev().tx_queue(0).stopped() || !adapter.ear.frames().empty();
    }));
    const size_t heard = adapter.ear.frames().size();
    EXPECT_TRUE(eventually([&] {
      adapter.xmit(make_frame(kOther, 2));
      return adapter.ear.frames().size() > heard;
    }));
    EXPECT_TRUE(adapter.through());
    adapter.model.set_link(false);
    EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
    adapter.model.set_link(true);
    EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  }
}

TEST_F(Rtl8150Test, ClosedAndOpenedAgainItReceivesAsBefore) {
  ASSERT_TRUE(dev().mc().add(multicast(1)));
  for (int n = 0; n < 20; ++n) {
    ASSERT_TRUE(dev().close());
    EXPECT_FALSE(adapter.model.filter().receiving);
    ASSERT_TRUE(dev().open() && adapter.settled());
    EXPECT_TRUE(adapter.hears(multicast(1)));
  }
}

TEST(Rtl8150ProbeTest, AnotherKindOfDeviceIsNotTaken) {
  struct Stranger final : usb::Model {
    std::span<const uint8_t> device_descriptor() const override {
      static constexpr uint8_t kOctets[] = {18, 1, 0, 2, 0, 0, 0, 64, 1, 2, 3, 4, 0, 1, 0, 0, 0, 1};
      return kOctets;
    }
    std::span<const uint8_t> configuration_descriptor() const override {
      static constexpr uint8_t kOctets[] = {9, 2, 9, 0, 0, 1, 0, 0, 0};
      return kOctets;
    }
    std::string_view string(uint8_t) const override { return ""; }
    void connect(usb::ToHost&) override {}
    void power_on() override {}
    Result<uint32_t> control(const usb::Setup&, std::span<uint8_t>) override { return 0; }
    Result<> out(uint8_t, std::span<const uint8_t>) override { return {}; }
  } stranger;
  Net net;
  const auto port = std::make_shared<usb::EmulatedPort>(stranger, "emulated:stranger");
  EXPECT_EQ(Rtl8150::probe(net, {}, port, {.deadline = soon()}).error(), std::errc::not_supported);
  EXPECT_EQ(Rtl8150::probe(net, {.mtu = 1501}, port, {.deadline = soon()}).error(), std::errc::invalid_argument);
}

}  // namespace
}  // namespace usernic::rtl8150
