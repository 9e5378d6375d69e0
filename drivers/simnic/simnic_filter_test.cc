// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's receive mode: from what is wanted to what the card holds.
#include <gtest/gtest.h>

#include <vector>

#include "drivers/simnic/nic_fixture.h"
#include "drivers/simnic/simnic.h"

namespace usernic::simnic {
namespace {

TEST_F(SimnicTest, WantedAddressesReachTheCard) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open());
  ASSERT_TRUE(a.dev->uc().add(unicast(1)) && a.dev->mc().add(multicast(1)) && a.dev->mc().add(multicast(2)));
  ASSERT_TRUE(a.settled());
  FilterImage image = a.card->filter();
  EXPECT_EQ(image.unicast, std::vector{unicast(1)});
  EXPECT_EQ(image.multicast, (std::vector{multicast(1), multicast(2)}));
  ASSERT_TRUE(a.dev->mc().del(multicast(1)));
  ASSERT_TRUE(a.settled());
  image = a.card->filter();
  EXPECT_EQ(image.multicast, std::vector{multicast(2)});
}

TEST_F(SimnicTest, OverflowGoesToTheHashAndTheCardAgreesOnTheBuckets) {
  Nic a(net, wire, kOwnA, {.multicast_slots = 2, .multicast_hash_bits = 64});
  ASSERT_TRUE(a.dev->open());
  for (uint64_t n = 0; n < 20; ++n) ASSERT_TRUE(a.dev->mc().add(multicast(n)));
  ASSERT_TRUE(a.settled());
  for (uint64_t n = 0; n < 20; ++n) EXPECT_TRUE(a.card->accepts(multicast(n))) << n;
  EXPECT_FALSE(a.card->filter().multicast_buckets.empty());
  EXPECT_FALSE(a.card->filter().allmulti || a.card->filter().promisc);
}

TEST_F(SimnicTest, OneMailboxTransactionAPlan) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open() && a.settled());
  const uint32_t before = a.card->transactions();
  {
    // While the lane is parked nothing is programmed: all four changes go into one plan.
    const LaneGuard parked(a.dev->lane());
    for (uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(a.dev->mc().add(multicast(n)));
  }
  ASSERT_TRUE(a.settled());
  EXPECT_EQ(a.card->transactions(), before + 1);
}

TEST_F(SimnicTest, VlanFilterStaysOpenUntilSwitchedOn) {
  Nic a(net, wire, kOwnA, {.vlan_slots = 4});
  ASSERT_TRUE(a.dev->open() && a.settled());
  EXPECT_TRUE(a.card->filter().vlan_open);
  ASSERT_TRUE(a.dev->rx_mode().vlan_add(7) && a.dev->rx_mode().set_vlan_filter(true));
  ASSERT_TRUE(a.settled());
  EXPECT_FALSE(a.card->filter().vlan_open);
  EXPECT_EQ(a.card->filter().vlans, std::vector<uint16_t>{7});
}

TEST_F(SimnicTest, AVlanTableSmallerThanDeclaredLosesNobody) {
  Nic a(net, wire, kOwnA, {.vlan_slots = 4});
  a.card->limit_slots(Table::kVlan, 1);
  ASSERT_TRUE(a.dev->open() && a.dev->rx_mode().vlan_add(7) && a.dev->rx_mode().vlan_add(8));
  ASSERT_TRUE(a.dev->rx_mode().set_vlan_filter(true) && a.settled());
  for (const uint16_t id : {7, 8}) EXPECT_TRUE(a.card->accepts(Frame(make_frame(kOwnA, 64, 0, id)))) << id;
}

// Commands are few and slow: none that must be refused is sent.
TEST_F(SimnicTest, WhatACardCannotIsNeverAskedOfIt) {
  struct Case {
    SimnicConfig card;
    uint64_t commands;  // two adds, and the flags that it has
  };
  for (const auto& [card, commands] : {Case{{.promisc = false, .allmulti = false}, 2}, Case{{.promisc = false}, 3},
                                       Case{{.allmulti = false}, 3}, Case{{}, 4}}) {
    SCOPED_TRACE(testing::Message() << "promisc " << card.promisc << ", allmulti " << card.allmulti);
    SimnicConfig small = card;
    small.unicast_slots = small.multicast_slots = 1;
    small.multicast_hash_bits = 0;
    Nic a(net, wire, kOwnA, small);
    ASSERT_TRUE(a.dev->open());
    {
      const LaneGuard parked(a.dev->lane());  // all in one plan
      for (uint64_t n = 0; n < 3; ++n) ASSERT_TRUE(a.dev->uc().add(unicast(n)) && a.dev->mc().add(multicast(n)));
      (void)a.dev->rx_mode().set_promiscuity(1);
    }
    a.dev->lane().flush();
    EXPECT_EQ(a.card->counters().commands, commands);
    EXPECT_EQ(a.card->filter().promisc, card.promisc);
    EXPECT_EQ(a.dev->rx_mode().status().stats.failures, 0u);
  }
}

TEST_F(SimnicTest, NoVlanIsSentThatTheCardHasNoSlotFor) {
  Nic a(net, wire, kOwnA, {.vlan_slots = 2});
  ASSERT_TRUE(a.dev->open());
  {
    const LaneGuard parked(a.dev->lane());
    for (uint16_t id = 1; id <= 3; ++id) ASSERT_TRUE(a.dev->rx_mode().vlan_add(id));
    ASSERT_TRUE(a.dev->rx_mode().set_vlan_filter(true));
  }
  ASSERT_TRUE(a.settled());
  EXPECT_TRUE(a.card->filter().vlan_open);
  EXPECT_EQ(a.card->counters().commands, 0u) << "for the third one there is no slot, so the filter stays open";
  ASSERT_TRUE(a.dev->rx_mode().vlan_del(3) && a.settled());
  EXPECT_FALSE(a.card->filter().vlan_open);
  EXPECT_EQ(a.card->filter().vlans, (std::vector<uint16_t>{1, 2}));
}

TEST_F(SimnicTest, OwnAddressChangesInItsRegister) {
  Nic a(net, wire, kOwnA, {.unicast_slots = 1});
  ASSERT_TRUE(a.dev->open() && a.dev->uc().add(unicast(1)));
  ASSERT_TRUE(a.dev->set_mac_address(kOwnB));
  ASSERT_TRUE(a.settled());
  EXPECT_TRUE(a.card->accepts(kOwnB) && a.card->accepts(unicast(1)));
  EXPECT_FALSE(a.card->accepts(kOwnA));
}

TEST_F(SimnicTest, TransientFaultsAreRetriedUntilTheyAreOver) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open() && a.settled());
  ASSERT_TRUE(a.card->inject({.count = 1}));
  ASSERT_TRUE(a.dev->mc().add(multicast(1)));
  EXPECT_TRUE(a.settled());
  EXPECT_TRUE(a.card->accepts(multicast(1)));
}

TEST_F(SimnicTest, ATableSmallerThanDeclaredLosesNobody) {
  Nic a(net, wire, kOwnA, {.unicast_slots = 8});
  a.card->limit_slots(Table::kUnicast, 2);
  ASSERT_TRUE(a.dev->open());
  for (uint64_t n = 0; n < 6; ++n) ASSERT_TRUE(a.dev->uc().add(unicast(n)));
  ASSERT_TRUE(a.settled());
  for (uint64_t n = 0; n < 6; ++n) EXPECT_TRUE(a.card->accepts(unicast(n))) << n;
}

TEST_F(SimnicTest, AResetCardIsProgrammedAgain) {
  Nic a(net, wire, kOwnA, {.multicast_slots = 2});
  ASSERT_TRUE(a.dev->set_mac_address(kOwnB) && a.dev->open());
  ASSERT_TRUE(a.dev->uc().add(unicast(1)));
  for (uint64_t n = 0; n < 8; ++n) ASSERT_TRUE(a.dev->mc().add(multicast(n)));
  ASSERT_TRUE(a.settled());
  for (int round = 0; round < 20; ++round) {
    a.card->reset();
    EXPECT_FALSE(a.card->filter().promisc);
    const Time deadline = soon();
    const auto whole = [&] {
      bool all = a.card->accepts(kOwnB) && a.card->accepts(unicast(1));
      for (uint64_t n = 0; n < 8; ++n) all = all && a.card->accepts(multicast(n));
      return all;
    };
    // The reset is reported by interrupt and work: until then `settle` knows nothing of it.
    while (!whole() && Clock::now() < deadline) {
      a.card->wait_transactions(a.card->transactions() + 1, Clock::now() + std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(whole()) << "round " << round;
    ASSERT_TRUE(a.settled());
  }
}

TEST_F(SimnicTest, AResetWhileClosedIsAcknowledgedBeforeTheNextCommand) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->mc().add(multicast(1)));
  for (int round = 0; round < 20; ++round) {
    a.card->reset();
    ASSERT_TRUE(a.dev->open() && a.settled());
    EXPECT_TRUE(a.card->accepts(multicast(1)));
    ASSERT_TRUE(a.dev->close());
  }
}

TEST_F(SimnicTest, AResetDuringACommandLosesNothing) {
  Nic a(net, wire, kOwnA);
  a.card->set_command_latency(std::chrono::milliseconds(20));
  ASSERT_TRUE(a.dev->open() && a.settled());
  const uint32_t before = a.card->transactions();
  ASSERT_TRUE(a.dev->mc().add(multicast(1)));
  ASSERT_TRUE(a.card->wait_transactions(before + 1, soon()));
  a.card->reset();
  ASSERT_TRUE(a.settled());
  EXPECT_TRUE(a.card->accepts(multicast(1)));
  ASSERT_TRUE(a.dev->mc().del(multicast(1)) && a.settled());
  EXPECT_TRUE(a.card->filter().multicast.empty()) << "and leaves nothing behind";
}

TEST_F(SimnicTest, ACommandThatTakesForEverEndsWhenTheDeviceIsClosed) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open() && a.settled());
  a.card->set_command_latency(std::chrono::hours(1));
  const uint32_t before = a.card->transactions();
  ASSERT_TRUE(a.dev->mc().add(multicast(1)));
  ASSERT_TRUE(a.card->wait_transactions(before + 1, soon()));
  ASSERT_TRUE(a.dev->close());
  EXPECT_FALSE(a.card->accepts(multicast(1)));
}

}  // namespace
}  // namespace usernic::simnic
