// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/model.h"

#include <gtest/gtest.h>

#include "bus/usb/emulated.h"
#include "drivers/lan78xx/adapter_fixture.h"
#include "drivers/lan78xx/framing.h"

namespace usernic::lan78xx {
namespace {

using Octets = std::vector<uint8_t>;

struct Lan78xxModelTest : ::testing::Test {
  void SetUp() override {
    ASSERT_TRUE(device);
    ASSERT_TRUE((*device)->set_configuration(kConfiguration, {.deadline = soon()}));
    model.connect_cable(&ear);
  }
  void TearDown() override { model.connect_cable(nullptr); }
  uint32_t read(uint16_t address) { return chip.read(address).value_or(0xdead'dead); }
  void write(uint16_t address, uint32_t value) { ASSERT_TRUE(chip.write(address, value)) << address; }
  void enable() {
    write(kMacRx, 1522u << kMacRxMaxShift | kMacEnable);
    write(kFctRxCtl, kFctEnable);
    write(kMacTx, kMacEnable);
    write(kFctTxCtl, kFctEnable);
  }
  Octets fetch() {
    Octets octets(kFifoBytes);
    octets.resize((*device)->transfer(kBulkIn, octets, {.deadline = soon()}).value_or(0));
    return octets;
  }
  void send(uint32_t a, uint32_t b, const Octets& frame) {
    Octets octets(kTxHeaderBytes);
    put_le32(octets, 0, a | static_cast<uint32_t>(frame.size()));
    put_le32(octets, 4, b);
    octets.insert(octets.end(), frame.begin(), frame.end());
    EXPECT_EQ((*device)->transfer(kBulkOut, octets, {.deadline = soon()}), octets.size());
  }
  Ear ear;
  Model model{kPermanent};
  usb::EmulatedPort plug{model, "emulated:lan78xx"};
  Result<std::unique_ptr<usb::Device>> device = plug.open({.deadline = soon()});
  StopToken stop;
  Registers chip{**device, stop};
};

TEST(Lan78xxRegsTest, AnAddressIsTwoWords) {
  EXPECT_EQ(address_lo(*MacAddress::parse("01:02:03:04:05:06")), 0x0403'0201u);
  EXPECT_EQ(address_hi(*MacAddress::parse("01:02:03:04:05:06")), 0x0605u);
  EXPECT_EQ(address_of(0x8000'0605, 0x0403'0201), *MacAddress::parse("01:02:03:04:05:06"));
}

TEST(Lan78xxRegsTest, TheBucketOfAnAddressIsTheTopOfItsCrc) {
  EXPECT_EQ(bucket_of(*MacAddress::parse("01:00:5e:00:00:01")), 0x7fa32d9bu >> 23);
}

TEST_F(Lan78xxModelTest, RegistersThatAreNotThereStall) {
  EXPECT_EQ(chip.read(0x002).error(), std::errc::broken_pipe);
  EXPECT_EQ(chip.write(kRegistersEnd, 0).error(), std::errc::broken_pipe);
  EXPECT_EQ(chip.read(0xfffc).error(), std::errc::broken_pipe);
  EXPECT_EQ(read(kIdRev) >> 16, 0x7800u);
}

TEST_F(Lan78xxModelTest, AResetForgetsTheFilterAndNotTheRam) {
  write(kRfeCtl, kRfeAllUnicast);
  write(maf_hi(1), kMafValid);
  write(kDpSel, kDpRamVlanAndHash);
  ASSERT_TRUE(chip.write_ram(3, 0x1234));
  ASSERT_TRUE(chip.set(kHwCfg, kHwLiteReset));
  EXPECT_EQ(read(kHwCfg) & kHwLiteReset, 0u);
  EXPECT_EQ(read(kRfeCtl) | read(maf_hi(1)), 0u);
  EXPECT_EQ(address_of(read(kRxAddrH), read(kRxAddrL)), kPermanent);
  write(kDpSel, kDpRamVlanAndHash);
  write(kDpAddr, 3);
  write(kDpCmd, 0);
  EXPECT_EQ(read(kDpData), 0x1234u);
}

TEST_F(Lan78xxModelTest, WhatTheFilterPassesIsWhatItsBitsSay) {
  const MacAddress group = multicast(1), other = foreign_group();
  const uint32_t bucket = bucket_of(group);
  write(kDpSel, kDpRamVlanAndHash);
  for (uint32_t n = 0; n < kHashWords; ++n) {
    ASSERT_TRUE(chip.write_ram(kVlanWords + n, n == bucket / 32 ? uint32_t{1} << bucket % 32 : 0));
  }
  write(maf_lo(0), address_lo(kPermanent));
  write(maf_hi(0), address_hi(kPermanent) | kMafValid);
  write(maf_lo(32), address_lo(unicast(9)));
  write(maf_hi(32), address_hi(unicast(9)) | kMafValid);
  constexpr struct {
    uint32_t control;
    bool own, exact, foreign, broadcast, group, other;
  } kRows[] = {{0, false, false, false, false, false, false},
               {kRfePerfect, true, true, false, false, false, false},
               {kRfeBroadcast, false, false, false, true, false, false},
               {kRfeAllUnicast, true, true, true, false, false, false},
               {kRfeAllMulticast, false, false, false, false, true, true},
               {kRfeMulticastHash, false, false, false, false, true, false}};
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.control);
    write(kRfeCtl, row.control);
    EXPECT_EQ(model.accepts(kPermanent), row.own);
    EXPECT_EQ(model.accepts(unicast(9)), row.exact);
    EXPECT_EQ(model.accepts(unicast(1)), row.foreign);
    EXPECT_EQ(model.accepts(kBroadcast), row.broadcast);
    EXPECT_EQ(model.accepts(group), row.group);
    EXPECT_EQ(model.accepts(other), row.other);
  }
}

TEST_F(Lan78xxModelTest, AReceiverThatIsOffIsDeaf) {
  write(kRfeCtl, kRfeBroadcast);
  EXPECT_FALSE(model.receive(make_frame(kBroadcast, 1)));
  EXPECT_EQ(read(kMacRx) & kMacDisabled, kMacDisabled);
  enable();
  EXPECT_EQ(read(kMacRx) & kMacDisabled, 0u);
  EXPECT_TRUE(model.receive(make_frame(kBroadcast, 1)));
  EXPECT_EQ(fetch().size(), kRxHeaderBytes + 60 + kFcsBytes);
  EXPECT_EQ(model.counters().deaf.load(), 1u);
}

TEST_F(Lan78xxModelTest, TheLinkIsToldOnceUntilItWasLookedAt) {
  Phy phy(chip, kPhyInside);
  ASSERT_TRUE(phy.read(kPhyIntStatus) && phy.write(kPhyIntMask, kPhyIntPin | kPhyIntLink));
  write(kIntEpCtl, kIntPhy);
  model.set_link(false);
  model.set_link(true);
  Octets told(16);
  EXPECT_EQ((*device)->transfer(kInterruptIn, told, {.deadline = soon()}), kInterruptBytes);
  EXPECT_EQ(le32(told, 0) & kIntPhy, kIntPhy);
  EXPECT_EQ(plug.waiting(kInterruptIn), 0u);
  EXPECT_EQ(*phy.read(usb::mii::kStatus) & usb::mii::kLinkUp, 0);  // it was lost
  EXPECT_EQ(*phy.read(usb::mii::kStatus) & usb::mii::kLinkUp, usb::mii::kLinkUp);
  ASSERT_TRUE(phy.read(kPhyIntStatus));
  write(kIntSts, kIntPhy);
  EXPECT_EQ(plug.waiting(kInterruptIn), 0u);
  model.set_link(false);
  EXPECT_EQ(plug.waiting(kInterruptIn), kInterruptBytes);
}

TEST_F(Lan78xxModelTest, ATagIsTakenOffAndPutInWhenThatIsAsked) {
  enable();
  const Octets plain = make_frame(kBroadcast, 7), tagged = usb::make_tagged(kBroadcast, 7, 5);
  for (const bool strip : {false, true}) {
    write(kRfeCtl, kRfeBroadcast | (strip ? kRfeVlanStrip : 0));
    ASSERT_TRUE(model.receive(tagged));
    const Octets transfer = fetch();
    EXPECT_EQ(le32(transfer, 0) & kRxTagged, kRxTagged);
    EXPECT_EQ(le32(transfer, 4) & 0xffff, 5u);
    RxReader reader(transfer);
    const auto frame = reader.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(Octets(frame->octets.begin(), frame->octets.end()), strip ? plain : tagged);
  }
  send(kTxFcs | kTxInsertTag, 5, plain);
  ASSERT_TRUE(ear.wait(1));
  EXPECT_EQ(ear.frames()[0], tagged);
}

// A UDP datagram whose sums the chip wrote is one whose sums it finds right.
TEST_F(Lan78xxModelTest, SumsAreWrittenAndLookedAt) {
  enable();
  write(kRfeCtl, kRfeBroadcast | kRfeSums);
  Octets frame = make_frame(kBroadcast, 7);
  const uint8_t headers[] = {8, 0, 0x45, 0,  0, 46, 0, 7, 0, 0, 64, 17, 0,  0, 10,
                             0, 0, 1,    10, 0, 0,  2, 0, 9, 0, 9,  0,  26, 0, 0};
  std::ranges::copy(headers, frame.begin() + 12);
  send(kTxFcs | kTxIpSum | kTxTcpUdpSum, 0, frame);
  ASSERT_TRUE(ear.wait(1));
  Octets heard = ear.frames()[0];
  const auto sum_of = [&] {
    EXPECT_TRUE(model.receive(heard));
    const Octets transfer = fetch();
    return RxReader(transfer).next()->sum;
  };
  EXPECT_EQ(sum_of(), FrameSum::kVerified);
  heard.back() ^= 1;
  EXPECT_EQ(sum_of(), FrameSum::kNone);
  heard.back() ^= 1;
  write(kRfeCtl, kRfeBroadcast);
  EXPECT_EQ(sum_of(), FrameSum::kNone);
}

TEST_F(Lan78xxModelTest, APacketIsCutIntoPartsOfEightOctetsAndMore) {
  enable();
  Octets packet = make_frame(kOther, 1, kHeaderBytes + 40 + 40);
  const uint8_t headers[] = {8, 0, 0x45, 0, 0, 80, 0, 7, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
  std::ranges::copy(headers, packet.begin() + 12);
  packet[kHeaderBytes + 20 + 12] = 0x50;
  send(kTxFcs | kTxSegment, 7u << kTxSegmentShift, packet);
  EXPECT_EQ(model.counters().bad.load(), 1u);
  send(kTxFcs | kTxSegment | kTxIpSum | kTxTcpUdpSum, 8u << kTxSegmentShift, packet);
  ASSERT_TRUE(ear.wait(5));
  EXPECT_EQ(model.counters().sent.load(), 5u);
}

TEST_F(Lan78xxModelTest, ATransferThatBreaksARuleIsNotSent) {
  enable();
  send(0, 0, make_frame(kOther, 1));           // without FCS
  send(kTxFcs, 0, Octets(13));                 // no header
  send(kTxFcs + 1, 0, make_frame(kOther, 1));  // longer than it is
  send(kTxFcs | kTxSegment, 0, make_frame(kOther, 1));
  EXPECT_EQ(model.counters().bad.load(), 4u);
  send(kTxFcs, 0, make_frame(kOther, 1, 20));
  ASSERT_TRUE(ear.wait(1));
  EXPECT_EQ(ear.frames()[0].size(), kFrameMin);
}

}  // namespace
}  // namespace usernic::lan78xx
