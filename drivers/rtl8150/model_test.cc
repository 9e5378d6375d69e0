// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/rtl8150/model.h"

#include <gtest/gtest.h>

#include "bus/usb/emulated.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

struct Registers : ::testing::Test {
  void SetUp() override {
    ASSERT_TRUE(device);
    ASSERT_TRUE((*device)->set_configuration(kConfiguration, {.deadline = soon()}));
  }
  Result<uint32_t> write(uint16_t address, std::vector<uint8_t> octets) {
    const usb::Setup setup{.request_type = kRequestWrite, .request = kRequestRegisters, .value = address};
    return (*device)->control(setup, octets, {.deadline = soon()});
  }
  std::vector<uint8_t> read(uint16_t address, size_t size) {
    std::vector<uint8_t> octets(size);
    const usb::Setup setup{.request_type = kRequestRead, .request = kRequestRegisters, .value = address};
    octets.resize((*device)->control(setup, octets, {.deadline = soon()}).value_or(0));
    return octets;
  }
  const std::vector<uint8_t> own{kPermanent.octets.begin(), kPermanent.octets.end()};
  Model model{kPermanent};
  usb::EmulatedPort plug{model, "emulated:rtl8150"};
  Result<std::unique_ptr<usb::Device>> device = plug.open({.deadline = soon()});
};

TEST(Rtl8150RegsTest, TheBucketOfAnAddressIsTheTopOfItsCrc) {
  // By zlib's crc32, inverted and turned round.
  EXPECT_EQ(bucket_of(*MacAddress::parse("01:00:5e:00:00:01")), 0x7fa32d9bu >> 26);
  EXPECT_EQ(bucket_of(*MacAddress::parse("33:33:00:00:00:01")), 0xf99baabau >> 26);
  EXPECT_EQ(bucket_of(*MacAddress::parse("01:80:c2:00:00:00")), 0x67d8c317u >> 26);
}

TEST_F(Registers, HoldTheAddressFromTheFactoryAndTakeAnother) {
  EXPECT_EQ(read(kIdr, 6), own);
  EXPECT_EQ(read(kEepromIdr, 6), own);
  EXPECT_EQ(write(kIdr, {2, 0, 0, 0, 0, 1}), 6u);
  EXPECT_EQ(model.filter().own, MacAddress::from_u64(0x0200'0000'0001));
  EXPECT_EQ(read(kEepromIdr, 6), own);
}

TEST_F(Registers, ThatAreNotThereStall) {
  EXPECT_EQ(write(0x0100, {1}).error(), std::errc::broken_pipe);
  EXPECT_EQ(write(kRegistersEnd - 1, {1, 2}).error(), std::errc::broken_pipe);
  EXPECT_EQ(write(0xffff, {1, 2, 3}).error(), std::errc::broken_pipe);
  EXPECT_EQ(write(kRegistersEnd, {}).error(), std::errc::broken_pipe);
  EXPECT_EQ(write(kEeprom + kEepromBytes, {}).error(), std::errc::broken_pipe);
}

TEST_F(Registers, AResetEmptiesTheFilterAndIsOver) {
  EXPECT_TRUE(write(kRcr, {0x9f, 0}) && write(kMar, std::vector<uint8_t>(8, 0xff)) && write(kIdr, {2, 0, 0, 0, 0, 1}));
  EXPECT_TRUE(write(kCr, {kCrReset}));
  EXPECT_EQ(read(kCr, 1), std::vector<uint8_t>{0});
  EXPECT_EQ(model.filter().accept, 0);
  EXPECT_EQ(model.filter().hash, std::vector<uint8_t>(8));
  EXPECT_EQ(model.filter().own, MacAddress::from_u64(0x0200'0000'0001));
}

TEST_F(Registers, TheLinkIsSeenInThreePlacesAndTold) {
  EXPECT_EQ(read(kMsr, 1)[0] & kMsrLink, kMsrLink);
  model.set_link(false);
  EXPECT_EQ(read(kMsr, 1)[0] & kMsrLink, 0);
  EXPECT_EQ(read(kCscr, 2)[0] & kCscrLink, 0);
  EXPECT_EQ(read(kBmsr, 2)[0] & kBmsrLink, 0);
  std::vector<uint8_t> told(kInterruptBytes);
  EXPECT_EQ((*device)->transfer(kInterruptIn, told, {.deadline = soon()}), kInterruptBytes);
  EXPECT_EQ(told[kInterruptMsr] & kMsrLink, 0);
}

TEST_F(Registers, WhatTheFilterPassesIsWhatItsBitsSay) {
  const MacAddress group = multicast(1), other = multicast(2);
  ASSERT_NE(bucket_of(group), bucket_of(other));
  std::vector<uint8_t> mar(8);
  mar[bucket_of(group) / 8] = static_cast<uint8_t>(1 << bucket_of(group) % 8);
  struct Row {
    uint8_t rcr;
    bool own, broadcast, foreign, group, other;
  };
  constexpr Row kRows[] = {{0, false, false, false, false, false},
                           {kRcrOwn, true, false, false, false, false},
                           {kRcrBroadcast, false, true, false, false, false},
                           {kRcrAllPhysical, true, false, true, false, false},
                           {kRcrAllmulti, false, false, false, true, true},
                           {kRcrHash, false, false, false, true, false}};
  ASSERT_TRUE(write(kMar, mar));
  for (const Row& row : kRows) {
    ASSERT_TRUE(write(kRcr, {row.rcr, 0}));
    SCOPED_TRACE(static_cast<int>(row.rcr));
    EXPECT_EQ(model.accepts(kPermanent), row.own);
    EXPECT_EQ(model.accepts(kBroadcast), row.broadcast);
    EXPECT_EQ(model.accepts(unicast(1)), row.foreign);
    EXPECT_EQ(model.accepts(group), row.group);
    EXPECT_EQ(model.accepts(other), row.other);
  }
}

TEST_F(Registers, AReceiverThatIsOffIsDeaf) {
  ASSERT_TRUE(write(kRcr, {0x9f, 0}));
  EXPECT_FALSE(model.receive(make_frame(kPermanent, 1)));
  ASSERT_TRUE(write(kCr, {kCrReceive}));
  EXPECT_TRUE(model.receive(make_frame(kPermanent, 1)));
  std::vector<uint8_t> got(1600);
  EXPECT_EQ((*device)->transfer(kBulkIn, got, {.deadline = soon()}), 64u);
  EXPECT_EQ(got[60] | got[61] << 8, 60 | kTrailerValid | kTrailerOwn);
  EXPECT_EQ(model.counters().deaf.load(), 1u);
}

TEST_F(Registers, AFrameThatIsTooShortIsNotSent) {
  ASSERT_TRUE(write(kCr, {kCrTransmit}));
  Ear ear;
  model.connect_cable(&ear);
  for (const size_t size : {59, 60, 1518, 1519}) {
    std::vector<uint8_t> frame(size);
    EXPECT_EQ((*device)->transfer(kBulkOut, frame, {.deadline = soon()}), size);
  }
  EXPECT_EQ(model.counters().sent.load(), 2u);
  EXPECT_EQ(model.counters().runts.load(), 1u);
  EXPECT_EQ(model.counters().giants.load(), 1u);
  model.connect_cable(nullptr);
}

}  // namespace
}  // namespace usernic::rtl8150
