// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/cdc.h"

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
    EXPECT_EQ(adapter.listener.last(), frame) << size;
  }
  EXPECT_EQ(adapter.model.counters().bad.load(), 0u);
  EXPECT_EQ(dev().stats().rx_errors, 0u);
}

TEST_P(CdcTest, ASenderThatIsFasterThanTheBusIsStoppedAndWoken) {
  constexpr uint32_t kFrames = 5000;
  SkbBatch batch;
  uint32_t sent = 0;
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
      ASSERT_TRUE(adapter.listener.wait_news(news));
    }
  }
  ASSERT_TRUE(adapter.ear.wait(kFrames));
  const auto frames = adapter.ear.frames();
  for (uint32_t number = 0; number < kFrames; ++number) ASSERT_EQ(number_of(frames[number]), number);
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
  adapter.model.set_link(false);
  EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
  adapter.model.set_link(true);
  EXPECT_TRUE(eventually([&] { return dev().carrier_ok(); }));
  EXPECT_TRUE(eventually([&] { return adapter.driver().bits_per_second() == 100'000'000; }));
  ASSERT_TRUE(dev().close());
  EXPECT_FALSE(dev().carrier_ok());
  adapter.model.set_link(false);
  ASSERT_TRUE(dev().open());
  EXPECT_TRUE(eventually([&] { return !dev().carrier_ok(); }));
}

TEST_P(CdcTest, GroupsThatComeTogetherAreOneListAndNoMore) {
  if (make.multicasts < 8) GTEST_SKIP() << "it has no list, or a short one";
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

TEST_P(CdcTest, InAFullListOneLeavesAndAnotherTakesItsPlace) {
  if (make.multicasts < 8) GTEST_SKIP() << "it has no list, or a short one";
  for (uint64_t n = 1; n <= 8; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  for (uint64_t n = 9; n <= 30; ++n) {
    ASSERT_TRUE(dev().mc().del(multicast(n - 8)) && dev().mc().add(multicast(n)) && adapter.settled());
    EXPECT_TRUE(adapter.model.accepts(multicast(n)));
    EXPECT_TRUE(adapter.model.accepts(multicast(n - 7)));
  }
  EXPECT_TRUE(eventually([&] { return !adapter.model.filter().allmulti; }));
}

TEST_P(CdcTest, AWantedUnicastIsPromiscuityAndNoLongerThanItIsWanted) {
  ASSERT_TRUE(dev().uc().add(unicast(1)) && adapter.settled());
  EXPECT_TRUE(adapter.hears(unicast(1)));
  ASSERT_TRUE(dev().uc().del(unicast(1)) && adapter.settled());
  EXPECT_FALSE(adapter.model.filter().promisc);
  EXPECT_FALSE(adapter.model.filter().allmulti);
}

TEST_P(CdcTest, PromiscuityOffLeavesAllmultiOn) {
  ASSERT_TRUE(dev().rx_mode().set_allmulti(1) && dev().rx_mode().set_promiscuity(1) && adapter.settled());
  ASSERT_TRUE(dev().rx_mode().set_promiscuity(-1) && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(5)));
  EXPECT_FALSE(adapter.hears(unicast(5)));
}

TEST_P(CdcTest, ACommandThatFailsIsTriedAgain) {
  adapter.plug->faults().fail_every.store(3);
  for (uint64_t n = 1; n <= 10; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  for (uint64_t n = 1; n <= 10; ++n) EXPECT_TRUE(adapter.model.accepts(multicast(n)));
}

TEST_P(CdcTest, ChangesDoNotWaitForACommandNorDoesTheirNumberBecomeCommands) {
  adapter.plug->faults().control_ns.store(20'000'000);
  const uint64_t before = controls();
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(dev().mc().add(multicast(n)));
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(dev().mc().del(multicast(n)));
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(adapter.settled());
  EXPECT_LE(controls() - before, 200u);
  EXPECT_LE(adapter.plug->counts().in_flight_max.load(), 1u);
}

TEST_P(CdcTest, CloseDoesNotWaitForACommand) {
  adapter.plug->faults().control_ns.store(3'600'000'000'000);
  ASSERT_TRUE(dev().mc().add(multicast(1)));
  Thread closer("closer", [&] { EXPECT_TRUE(dev().close()); });
  closer.join();  // its own request is given up at its deadline
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(dev().open() && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(1)));
}

TEST_P(CdcTest, AStalledEndpointIsClearedAndFramesGoOn) {
  for (const uint8_t endpoint : {0x81, 0x02, 0x83}) {
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

TEST_P(CdcTest, ClosedAndOpenedAgainItReceivesAsBefore) {
  ASSERT_TRUE(dev().mc().add(multicast(1)));
  for (int n = 0; n < 20; ++n) {
    ASSERT_TRUE(dev().close());
    EXPECT_FALSE(adapter.model.filter().receiving);
    ASSERT_TRUE(dev().open() && adapter.settled());
    EXPECT_TRUE(adapter.hears(multicast(1)));
  }
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcTest, ::testing::ValuesIn(kKinds), name_of);

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
