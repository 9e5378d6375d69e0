// SPDX-License-Identifier: Apache-2.0 OR MIT
// What readers see: reasons, counts of calls, coverage of a device that is down, and when a retry comes.
#include <algorithm>

#include "core/rx/rx_mode_fixture.h"
#include "testing/plain_driver.h"
#include "usernic/porting.h"
#include "usernic/rx_style.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;
using RxStatusTest = RxModeTest;
constexpr MacAddress kBroadcast = MacAddress::from_u64(0xffff'ffff'ffff);

TEST_F(RxStatusTest, WhatIsDownCoversNothingNotEvenItsOwnAddressOrBroadcast) {
  start();
  const MacAddress own = dev->address();
  EXPECT_TRUE(mode->covered(own) && mode->covered(kBroadcast));
  ASSERT_TRUE(dev->close());
  EXPECT_FALSE(mode->covered(own));
  EXPECT_FALSE(mode->covered(kBroadcast));
  EXPECT_EQ(mode->status().reason, "the device is down");
  EXPECT_EQ(outcome(mode->settle(soon())), "ENETDOWN") << "at once";
  ASSERT_TRUE(dev->open());
  settle();
  EXPECT_TRUE(mode->covered(own) && mode->covered(kBroadcast));
}

// What a failed add may have put on the card takes a slot; after a close nothing does.
TEST_F(RxStatusTest, WhatAClosedCardMayHaveHadTakesNoSlotLater) {
  card.caps = {.unicast_slots = 2, .multicast_slots = 2};
  start();
  for (int round = 0; round < 4; ++round) {
    on_card([](TestCard& c) {
      c.decide = [](const RxCommand&, bool& apply) -> Result<> {
        apply = true;
        return fail(std::errc::io_error);
      };
    });
    ASSERT_TRUE(dev->mc().add(mc(1)));
    ASSERT_TRUE(dev->mc().add(mc(2)));
    while (mode->status().failed.size() != 2) std::ignore = StopToken().wait_until(Clock::now() + milliseconds(1));
    ASSERT_TRUE(dev->close());
    on_card([](TestCard& c) { c.decide = nullptr; });
    ASSERT_TRUE(dev->open());
    settle();
    EXPECT_EQ(mode->status().reason, "everything fits");
    EXPECT_EQ(exact_multicast(), 2u);
    EXPECT_TRUE(mode->status().failed.empty());
    ASSERT_TRUE(dev->mc().flush());
    settle();
  }
}

TEST_F(RxStatusTest, DriverCallsAreThoseThatTheDriverHad) {
  start();
  for (uint64_t n = 1; n <= 20; ++n) {
    ASSERT_TRUE(dev->mc().add(mc(n)));
    if (n % 3 == 0) settle();
  }
  settle();
  dev->lane().flush();
  const RxModeStatus::Stats stats = mode->status().stats;
  EXPECT_EQ(stats.driver_calls, on_card([](TestCard& c) { return c.calls; }));
  EXPECT_GE(stats.runs, stats.driver_calls) << "a run makes one at most";
}

TEST_F(RxStatusTest, EveryReasonHasItsWords) {
  card.caps = {.unicast_slots = 1, .multicast_slots = 1, .shared_slots = false, .promisc = false, .allmulti = false};
  start();
  EXPECT_EQ(mode->status().reason, "nothing is programmed yet");
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  EXPECT_EQ(mode->status().reason, "everything fits");
  ASSERT_TRUE(mode->set_allmulti(1));
  EXPECT_EQ(mode->status().reason, "allmulti asked for 1 time");
  ASSERT_TRUE(mode->set_allmulti(-1));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  EXPECT_EQ(outcome(mode->wait(mode->ticket(mc(2)), soon())), "ENOSPC");
  EXPECT_EQ(outcome(mode->wait(mode->ticket(uc(2)), soon())), "ENOSPC");
  EXPECT_EQ(mode->status().reason,
            "2 unicast addresses, 1 slots; nothing wider than unicast exact entries; "
            "2 multicast addresses, 1 slots; nothing wider than multicast exact entries");
  {
    LaneGuard lane(dev->lane());
    mode->card_forgot();
    EXPECT_EQ(mode->status().reason, "the card forgot its filter");
  }
}

TEST_F(RxStatusTest, ASharedTableSaysSoAndWhenItLeavesWide) {
  card.caps = {.unicast_slots = 4, .shared_slots = true};
  start();
  for (uint64_t n = 1; n <= 6; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  EXPECT_EQ(mode->status().reason, "6 multicast addresses, shared 4 slots");
  ASSERT_TRUE(dev->mc().del(mc(1)));
  ASSERT_TRUE(dev->mc().del(mc(2)));
  settle();
  EXPECT_EQ(mode->status().reason, "4 multicast addresses, shared 4 slots (leaves at 3/4)");
}

// A card with promisc = false is never sent a widen of it.
TEST_F(RxStatusTest, AFlagThatTheCardDoesNotHaveIsNotAskedFor) {
  card.caps = {.unicast_slots = 1, .multicast_slots = 1, .promisc = false};
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  EXPECT_EQ(outcome(mode->wait(mode->ticket(uc(2)), soon())), "ENOSPC");
  EXPECT_FALSE(on_card([](TestCard& c) {
    return std::ranges::any_of(c.log, [](const RxCommand& each) { return each.object == RxObject::kPromisc; });
  }));
}

// ---- a retry that the driver asks for -------------------------------------------------------------------------------

struct AskingCard {
  std::set<MacAddress> exact;
  std::vector<Time> calls;
  int asks = 0;  // so many calls ask for another
};
struct AskingDriver : PlainDriver {
  AskingDriver(NetDevice& dev, AskingCard& card) : PlainDriver(dev), card_(card) {}
  int set_rx_mode_async(NetDevice*, HwAddrList*, HwAddrList*) {
    card_.calls.push_back(Clock::now());
    if (card_.asks > 0) --card_.asks, Porting::schedule_retry(dev_.rx_mode());
    called.set();
    return 0;
  }
  AskingCard& card_;
  Event called;
};

TEST(RxScheduledRetry, DoesNotComeEarlyAndEachWaitsTwiceAsLong) {
  constexpr Duration kFirst = milliseconds(20);
  Net net;
  AskingCard card{.asks = 3};
  NetdevPtr dev = *net.alloc_netdev<AskingDriver>({.name = "t0", .rx_retry = kFirst}, card);
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(static_cast<AskingDriver*>(dev->driver())->called.wait(4));
  LaneGuard lane(dev->lane());
  ASSERT_GE(card.calls.size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_GE(card.calls[i + 1] - card.calls[i], kFirst * (1 << i)) << i;
}

}  // namespace
}  // namespace usernic
