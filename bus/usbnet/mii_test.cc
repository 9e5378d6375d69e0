// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/mii.h"

#include <gtest/gtest.h>

#include <array>

#include "bus/usbnet/ether_crc.h"

namespace usernic::usb {
namespace {

using namespace mii;

// Registers without a wire: what is written is read, but for the link, which shows that it was lost once.
struct Phy final : MiiBus {
  Result<uint16_t> read(uint8_t mii_register) override {
    if (++accesses == fails_at) return fail(std::errc::io_error);
    const uint16_t value = registers[mii_register];
    if (mii_register == kStatus && link) registers[kStatus] |= kLinkUp;
    return value;
  }
  Result<> write(uint8_t mii_register, uint16_t value) override {
    if (++accesses == fails_at) return fail(std::errc::io_error);
    ++writes;
    registers[mii_register] = value;
    return {};
  }
  std::array<uint16_t, kRegisters> registers{};
  bool link = true;
  int accesses = 0, writes = 0, fails_at = 0;
};

struct MiiTest : ::testing::Test {
  void SetUp() override {
    phy.registers[kStatus] = kHasExtendedStatus | kCanNegotiate;
    phy.registers[kControl] = kNegotiate;
    phy.registers[kAdvertised] = kSelector | k10And100;
    phy.registers[kGigabitAdvertised] = k1000Full;
  }
  Phy phy;
};

TEST_F(MiiTest, TheLinkIsTheBestThatBothOffer) {
  struct Row {
    uint16_t gigabit, partner;
    uint32_t speed;
    Duplex duplex;
  };
  constexpr Row kRows[] = {{k1000Full << kPartnerShift, k10And100, 1000, Duplex::kFull},
                           {k1000Half << kPartnerShift, k10And100, 100, Duplex::kFull},
                           {0, k100Half | k10Full, 100, Duplex::kHalf},
                           {0, k10Full | k10Half, 10, Duplex::kFull},
                           {0, k10Half, 10, Duplex::kHalf},
                           {0, 0, 0, Duplex::kUnknown}};
  for (const Row& row : kRows) {
    phy.registers[kGigabitPartner] = row.gigabit;
    phy.registers[kPartner] = row.partner;
    const auto link = read_link(phy);
    ASSERT_TRUE(link);
    EXPECT_TRUE(link->up && link->settings.autoneg);
    EXPECT_EQ(link->settings.speed_mbps, row.speed);
    EXPECT_EQ(link->settings.duplex, row.duplex);
  }
}

TEST_F(MiiTest, WithoutNegotiationItIsWhatWasForced) {
  phy.registers[kControl] = kSpeed100 | kFullDuplex;
  EXPECT_EQ(read_link(phy)->settings.speed_mbps, 100u);
  phy.registers[kControl] = kSpeed1000;
  EXPECT_EQ(read_link(phy)->settings.speed_mbps, 1000u);
  EXPECT_EQ(read_link(phy)->settings.duplex, Duplex::kHalf);
  phy.registers[kControl] = 0;
  EXPECT_EQ(read_link(phy)->settings.speed_mbps, 10u);
}

TEST_F(MiiTest, ALinkThatWasLostAndIsBackIsUp) {
  EXPECT_TRUE(read_link(phy)->up);  // the first look sees the loss
  phy.link = false;
  phy.registers[kStatus] &= static_cast<uint16_t>(~kLinkUp);
  EXPECT_EQ(read_link(phy)->settings.speed_mbps, 0u);
  EXPECT_FALSE(read_link(phy)->up);
}

TEST_F(MiiTest, WhoOffersEverythingAlreadyKeepsItsLink) {
  ASSERT_TRUE(negotiate(phy));
  EXPECT_EQ(phy.writes, 0);
  phy.registers[kGigabitAdvertised] = k1000Half | 0x1000;
  phy.registers[kControl] = kPowerDown;
  ASSERT_TRUE(negotiate(phy));
  EXPECT_EQ(phy.registers[kGigabitAdvertised], k1000Full | 0x1000);
  EXPECT_EQ(phy.registers[kControl], kNegotiate | kRestart);
}

TEST_F(MiiTest, APhyWithoutGigabitIsNotAskedForIt) {
  phy.registers[kStatus] = kCanNegotiate;
  phy.registers[kAdvertised] = kSelector;
  phy.registers[kGigabitAdvertised] = 0;
  ASSERT_TRUE(negotiate(phy));
  EXPECT_EQ(phy.registers[kAdvertised], kSelector | k10And100);
  EXPECT_EQ(phy.registers[kGigabitAdvertised], 0);
}

TEST_F(MiiTest, AnAccessThatFailsIsSaid) {
  phy.registers[kPartner] = k10Half;
  for (phy.fails_at = 1; phy.fails_at <= 7; ++phy.fails_at, phy.accesses = 0) EXPECT_FALSE(read_link(phy));
  EXPECT_TRUE(read_link(phy));
  for (phy.fails_at = 1; phy.fails_at <= 6; ++phy.fails_at) {
    phy.accesses = 0;
    phy.registers[kAdvertised] = kSelector;
    EXPECT_FALSE(negotiate(phy)) << phy.fails_at;
  }
}

TEST(EtherCrcTest, IsTheCrcOfTheFrameCheckSequence) {
  // By zlib's crc32, inverted and turned round.
  EXPECT_EQ(ether_crc(*MacAddress::parse("01:00:5e:00:00:01")), 0x7fa32d9bu);
  EXPECT_EQ(ether_crc(*MacAddress::parse("33:33:00:00:00:01")), 0xf99baabau);
  EXPECT_EQ(ether_crc(*MacAddress::parse("01:80:c2:00:00:00")), 0x67d8c317u);
}

}  // namespace
}  // namespace usernic::usb
