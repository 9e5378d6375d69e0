// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver style: the kernel's signature.
#include <algorithm>

#include "core/rx/rx_style_fixture.h"
#include "usernic/porting.h"
#include "usernic/rx_style.h"

namespace usernic::rx_kernel_style_test {
namespace {

using std::chrono::milliseconds;

struct KernelCard {
  std::set<MacAddress> exact;
  bool twice = false;         // something was pushed that was there already
  std::set<MacAddress> dead;  // pushes fail with EIO
  size_t slots = 100;         // pushes beyond fail with ENOSPC
  bool pushes = true;         // the driver uses sync_dev
  bool returns_error = true;  // of sync_dev
  bool takes_back_in_promisc = false, skips_in_promisc = false;
  int asks = 0;  // so many calls schedule a retry; the one after tells
  bool asked = false;
  Event asked_back;
  int fails_after = 0;  // so many calls push and return -EIO all the same
  bool promisc = false, allmulti = false;
  int fails_whole = 0;  // so many calls return -EBUSY
  uint32_t calls = 0;
  std::set<uint64_t> all_given;  // by a driver that reads the whole list
  std::string log;
  std::function<void()> on_call, on_push;  // before they do anything
};

struct KernelDriver : Plain {
  KernelDriver(NetDevice& dev, KernelCard& card) : Plain(dev), card_(card) {}

  static KernelCard& card_of(NetDevice* dev) { return static_cast<KernelDriver*>(dev->driver())->card_; }
  static int sync(NetDevice* dev, const unsigned char* addr) {
    KernelCard& card = card_of(dev);
    const MacAddress address = MacAddress::from_bytes(addr);
    card.log += "+" + std::to_string(address.octets[5]) + " ";
    if (card.on_push) card.on_push();
    if (card.dead.contains(address)) return -EIO;
    if (card.exact.size() >= card.slots) return -ENOSPC;
    card.twice = !card.exact.insert(address).second || card.twice;
    return 0;
  }
  static int unsync(NetDevice* dev, const unsigned char* addr) {
    KernelCard& card = card_of(dev);
    const MacAddress address = MacAddress::from_bytes(addr);
    card.log += "-" + std::to_string(address.octets[5]) + " ";
    if (card.dead.contains(address)) return -EIO;
    card.exact.erase(address);
    return 0;
  }
  int set_rx_mode_async(NetDevice* dev, HwAddrList* uc_list, HwAddrList* mc_list) {
    might_sleep();
    ++card_.calls;
    if (card_.on_call) card_.on_call();
    if (std::exchange(card_.asked, card_.asks > 0)) card_.asked_back.set();
    if (card_.asks > 0) --card_.asks, Porting::schedule_retry(dev->rx_mode());
    Porting::lock_lists(dev->rx_mode());
    card_.promisc = Porting::lists(dev->rx_mode()).promisc();
    card_.allmulti = Porting::lists(dev->rx_mode()).allmulti();
    Porting::unlock_lists(dev->rx_mode());
    if (card_.fails_whole > 0) {
      --card_.fails_whole;
      return -EBUSY;
    }
    if (!card_.pushes) {
      card_.exact.clear();
      for (HwAddrList* list : {uc_list, mc_list}) {
        for (HwAddr* ha = list->first(); ha != nullptr; ha = list->next(*ha)) {
          card_.exact.insert(MacAddress::from_bytes(ha->addr));
        }
      }
      return 0;
    }
    if (card_.promisc && card_.takes_back_in_promisc) {
      for (HwAddrList* list : {uc_list, mc_list}) list->unsync_dev(dev, unsync);
      return 0;
    }
    if (card_.promisc && card_.skips_in_promisc) return 0;
    const int uc_error = uc_list->sync_dev(dev, sync, unsync);
    const int mc_error = mc_list->sync_dev(dev, sync, unsync);
    if (card_.fails_after > 0) return --card_.fails_after, -EIO;
    return card_.returns_error ? (uc_error != 0 ? uc_error : mc_error) : 0;
  }
  KernelCard& card_;
};

// A card that knows VLAN ids, too.
struct VlanCard : KernelCard {
  std::set<uint16_t> vlans;
  std::string vlan_log;
  size_t vlan_slots = 100;
  int vlan_failures = 0;  // so many adds fail
};

struct VlanDriver : KernelDriver {
  VlanDriver(NetDevice& dev, VlanCard& card) : KernelDriver(dev, card), vlans_(card) {}
  Result<> vlan_rx_add_vid(uint16_t id) {
    might_sleep();
    vlans_.vlan_log += fmt::format("+{} ", id);
    if (vlans_.vlan_failures > 0) return --vlans_.vlan_failures, fail(std::errc::io_error);
    if (vlans_.vlans.size() == vlans_.vlan_slots) return fail(std::errc::no_space_on_device);
    vlans_.vlans.insert(id);
    return {};
  }
  Result<> vlan_rx_kill_vid(uint16_t id) {
    might_sleep();
    vlans_.vlan_log += fmt::format("-{} ", id);
    return vlans_.vlans.erase(id) != 0 ? Result<>() : fail(std::errc::no_such_file_or_directory);
  }

 private:
  VlanCard& vlans_;
};

struct KernelVlanTest : StyleTest<VlanDriver, VlanCard> {
  // What it was told since the last call.
  std::string told() {
    settle();
    return on_card([](VlanCard& c) { return std::exchange(c.vlan_log, {}); });
  }
};

TEST_F(KernelVlanTest, EachIdComesAndGoesAlone) {
  ASSERT_TRUE(mode.vlan_add(4));  // before the device is up
  start();
  ASSERT_TRUE(mode.vlan_add(5) && mode.vlan_add(6));
  EXPECT_EQ(told(), "+4 +5 +6 ");
  ASSERT_TRUE(mode.vlan_del(5) && mode.vlan_add(7) && mode.vlan_add(7));
  EXPECT_EQ(told(), "-5 +7 ");
  EXPECT_EQ(mode.status().programmed_vlans, (std::vector<uint16_t>{4, 6, 7}));
}

TEST_F(KernelVlanTest, ItsFilterIsAlwaysOn) {
  start();
  EXPECT_TRUE(mode.status().vlan_filter);
  EXPECT_TRUE(mode.set_vlan_filter(true));
  EXPECT_EQ(mode.set_vlan_filter(false).error(), std::errc::operation_not_supported);
  ASSERT_TRUE(mode.vlan_add(5));
  EXPECT_EQ(told(), "+5 ");
}

TEST_F(KernelVlanTest, OneThatFailsIsTriedAgainAndTheOthersAreNot) {
  start();
  card.vlan_failures = 1;
  ASSERT_TRUE(mode.vlan_add(5) && mode.vlan_add(6));
  const std::string all = told();
  EXPECT_EQ(std::ranges::count(all, '+'), 3) << all;
  EXPECT_EQ(on_card([](VlanCard& c) { return c.vlans; }), (std::set<uint16_t>{5, 6}));
}

TEST_F(KernelVlanTest, WhatACardForgotIsToldAgain) {
  start();
  ASSERT_TRUE(mode.vlan_add(5));
  EXPECT_EQ(told(), "+5 ");
  on_card([&](VlanCard& c) {
    c.vlans.clear();
    mode.card_forgot();
  });
  EXPECT_EQ(told(), "+5 ");
  ASSERT_TRUE(dev->close());
  card.vlans.clear();
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(told(), "+5 ");
}

// Promiscuity is no help: a card may look at the tag all the same.
TEST_F(KernelVlanTest, AnIdWithoutRoomLeavesTheOthersWhereTheyAre) {
  card.vlan_slots = 2;
  start();
  ASSERT_TRUE(mode.vlan_add(5) && mode.vlan_add(6));
  EXPECT_EQ(told(), "+5 +6 ");
  ASSERT_TRUE(mode.vlan_add(7));
  EXPECT_EQ(told(), "+7 ");
  EXPECT_EQ(on_card([](VlanCard& c) { return c.vlans; }), (std::set<uint16_t>{5, 6}));
  EXPECT_NE(mode.status().reason.find("3 VLANs"), std::string::npos) << mode.status().reason;
  ASSERT_TRUE(mode.vlan_del(5));
  EXPECT_EQ(told(), "-5 +7 ") << "what goes makes room";
  EXPECT_EQ(on_card([](VlanCard& c) { return c.vlans; }), (std::set<uint16_t>{6, 7}));
}

struct KernelStyleTest : StyleTest<KernelDriver, KernelCard> {
  // Promiscuous, with two addresses pushed and a third that the driver saw no need to push.
  void start_promiscuous() {
    card.skips_in_promisc = true;
    start();
    for (uint64_t n = 1; n <= 2; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
    settle();
    ASSERT_TRUE(mode.set_promiscuity(1));
    settle();
    ASSERT_TRUE(dev->uc().add(uc(3)));
    settle();
  }
  void TearDown() override { EXPECT_FALSE(card.twice) << "pushed again without being taken back"; }
};

TEST_F(KernelStyleTest, OnlyWhatChangedIsPushed) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(2)}));
  card.log.clear();
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  EXPECT_EQ(card.log, "-1 +3 ");
  EXPECT_TRUE(mode.covered(uc(3)) && mode.covered(mc(2)) && !mode.covered(uc(1)));
  EXPECT_EQ(mode.status().programmed_unicast, std::vector{uc(3)});
}

TEST_F(KernelStyleTest, WhatWasPushedWhileTheCardForgotIsTakenBackAlsoAfterACallThatFailed) {
  start();
  bool forgets = true;
  uint32_t forgot_in = UINT32_MAX;
  card.on_push = [&] {
    if (!std::exchange(forgets, false)) return;
    mode.card_forgot();  // and pushed afterwards
    forgot_in = card.calls;
    card.fails_whole = 1;
  };
  card.on_call = [&] {
    if (card.calls == forgot_in + 1) (void)dev->mc().del(mc(1));
  };
  ASSERT_TRUE(dev->mc().add(mc(1)));
  while (on_card([&](KernelCard& c) { return forgot_in == UINT32_MAX || c.calls < forgot_in + 2; })) retries_pass();
  settle();
  EXPECT_EQ(card.exact, std::set<MacAddress>());
}

TEST_F(KernelStyleTest, AFlagThatACallSwitchedOnBeforeItFailedGoesOffAgain) {
  start();
  bool taken_back = false;
  card.slots = 0;
  card.on_push = [&] {
    if (!card.allmulti || std::exchange(taken_back, true)) return;
    (void)mode.set_allmulti(-1);
    (void)dev->uc().del(uc(1));
  };
  {
    const LaneGuard one_run_for_both(dev->lane());
    ASSERT_TRUE(mode.set_allmulti(1));
    ASSERT_TRUE(dev->uc().add(uc(1)));
  }
  settle();
  EXPECT_FALSE(card.allmulti);
}

TEST_F(KernelStyleTest, ADeadAddressHoldsUpNoOtherAndIsTriedAgain) {
  for (const bool returns_error : {true, false}) {
    SCOPED_TRACE(returns_error);
    KernelCard own_card{.dead = {uc(1)}, .returns_error = returns_error};
    NetdevPtr other = *net.alloc_netdev<KernelDriver>({.name = "k%d", .rx_retry = milliseconds(20)}, own_card);
    RxMode& rx = other->rx_mode();
    ASSERT_TRUE(other->register_netdev() && other->open());
    for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(other->uc().add(uc(n)));
    ASSERT_TRUE(other->mc().add(mc(4)));
    EXPECT_EQ(outcome(rx.wait(rx.ticket(uc(3)), soon())), "ok");
    EXPECT_EQ(outcome(rx.wait(rx.ticket(mc(4)), soon())), "ok");
    EXPECT_TRUE(eventually([&] { return outcome(rx.wait(rx.ticket(uc(1)), Clock::now())) == "EIO"; }));
    EXPECT_FALSE(rx.covered(uc(1)));
    {
      LaneGuard lane(other->lane());
      own_card.dead.clear();
    }
    EXPECT_EQ(outcome(rx.settle(soon())), "ok");
    EXPECT_EQ(own_card.exact.size(), 4u);
  }
}

TEST_F(KernelStyleTest, AnUnsyncThatFailsIsTriedAgain) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  on_card([](KernelCard& c) { c.dead = {uc(1)}; });
  ASSERT_TRUE(dev->uc().del(uc(1)));
  retries_pass();
  on_card([](KernelCard& c) {
    EXPECT_EQ(c.exact.size(), 1u);
    c.dead.clear();
  });
  settle();
  EXPECT_TRUE(card.exact.empty());
}

TEST_F(KernelStyleTest, ACardThatIsFullGoesPromiscAndComesBack) {
  card.slots = 2;
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  EXPECT_TRUE(card.promisc);
  EXPECT_EQ(card.exact.size(), 2u);
  for (uint64_t n = 1; n <= 3; ++n) EXPECT_TRUE(mode.covered(uc(n)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().del(uc(2)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(card.exact, (std::set{uc(3)}));
}

TEST_F(KernelStyleTest, ADriverThatReadsTheWholeListCoversWhatItIsGiven) {
  card.pushes = false;
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(2)}));
  EXPECT_TRUE(mode.covered(uc(1)));
  on_card([](KernelCard& c) { c.fails_whole = 2; });
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(3), mc(2)}));
  EXPECT_EQ(card.fails_whole, 0);
}

TEST_F(KernelStyleTest, AFirstCallThatFailsIsTriedAgainAlthoughNothingIsWanted) {
  card.fails_whole = 2;
  start();
  EXPECT_EQ(card.fails_whole, 0);
  EXPECT_EQ(card.calls, 3u);
}

TEST_F(KernelStyleTest, PromiscuityIsSeenAndEverythingComesBackAfterAReset) {
  start();
  ASSERT_TRUE(mode.set_promiscuity(1));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  EXPECT_TRUE(card.promisc);
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_FALSE(card.promisc);
  lose_filter();
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
}

TEST_F(KernelStyleTest, AnAddressTakenBackBehindTheEnginesBackIsPushedAgain) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  settle();
  on_card([&](KernelCard& c) {
    Porting::hw_list(mode, AddressClass::kUnicast).unsync_dev(dev.get(), KernelDriver::unsync);
    EXPECT_TRUE(c.exact.empty());
    c.dead = {uc(1)};
  });
  ASSERT_TRUE(dev->uc().add(uc(3)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(uc(3)), soon())), "ok");
  EXPECT_EQ(failure_of(uc(1)), "EIO");
  EXPECT_EQ(outcome(mode.wait(mode.ticket(uc(2)), soon())), "ok");
  EXPECT_TRUE(mode.covered(uc(3)));
  on_card([](KernelCard& c) { c.dead.clear(); });
  settle();
  EXPECT_EQ(card.exact.size(), 3u);
}

TEST_F(KernelStyleTest, ADriverThatTakesEverythingBackWhilePromiscuousAnswersForIt) {
  card.takes_back_in_promisc = true;
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  Reports reports;
  const uint32_t calls = card.calls;
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(4)));
  settle();
  EXPECT_TRUE(card.exact.empty());
  EXPECT_EQ(mode.status().stats.failures, 0u);
  EXPECT_LE(card.calls, calls + 2);
  EXPECT_EQ(reports.rules(), "");
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), uc(2), uc(3), uc(4)}));
}

TEST_F(KernelStyleTest, WhatWasNotPushedWhilePromiscuousAndFailsLaterCostsNothingElse) {
  start_promiscuous();
  on_card([](KernelCard& c) { c.dead = {uc(3)}; });
  ASSERT_TRUE(mode.set_promiscuity(-1));
  retries_pass();
  on_card([](KernelCard& c) {
    EXPECT_FALSE(c.twice);
    EXPECT_EQ(c.exact, (std::set{uc(1), uc(2)}));
    c.dead.clear();
  });
  settle();
  EXPECT_EQ(card.exact.size(), 3u);
  EXPECT_FALSE(card.promisc);
}

TEST_F(KernelStyleTest, WhatFindsNoRoomWhenPromiscIsToEndKeepsItOn) {
  card.slots = 2;
  start_promiscuous();
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_TRUE(card.promisc);
  EXPECT_TRUE(mode.covered(uc(3)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(card.exact, (std::set{uc(2), uc(3)}));
}

TEST_F(KernelStyleTest, AScheduledRetryComesAtItsTimeAndIsTakenBack) {
  start();
  const uint32_t calls = card.calls;
  Time begun;
  on_card([&](KernelCard& c) {
    c.asks = 1;
    begun = Clock::now();
    mode.call_soon();
  });
  EXPECT_TRUE(card.asked_back.wait(1));
  EXPECT_GE(Clock::now() - begun, milliseconds(20));
  on_card([&](KernelCard& c) {
    EXPECT_EQ(c.calls, calls + 2);
    c.asks = 1;
    mode.call_soon();
  });
  dev->lane().flush();
  Porting::cancel_retry(mode);
  retries_pass();
  dev->lane().flush();
  on_card([&](KernelCard& c) { EXPECT_EQ(c.calls, calls + 3); });
  mode.call_soon();
  Porting::cancel_retry(mode);
  dev->lane().flush();
  on_card([&](KernelCard& c) { EXPECT_EQ(c.calls, calls + 4) << "it takes back only retries"; });
}

TEST_F(KernelStyleTest, ARetryThatIsNotDueIsNotMadeByARunForSomethingElse) {
  const NetdevPtr late =
      *net.alloc_netdev<KernelDriver>({.name = "late", .address = uc(0xffff), .rx_retry = std::chrono::hours(1)}, card);
  RxMode& its = late->rx_mode();
  ASSERT_TRUE(late->register_netdev() && late->open());
  ASSERT_EQ(outcome(its.settle(soon())), "ok");
  card.asks = 1;
  its.call_soon();
  late->lane().flush();
  const uint32_t calls = card.calls;
  ASSERT_EQ(card.asks, 0);
  ASSERT_TRUE(its.set_vlan_filter(true));
  late->lane().flush();
  EXPECT_EQ(card.calls, calls);
}

TEST_F(KernelStyleTest, TheListOfARunningDriverTakenFromOutsideIsAReport) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  (void)Porting::hw_list(mode, AddressClass::kUnicast);
  EXPECT_EQ(reports.rules(), "hw-list-unlocked");
}

TEST_F(KernelStyleTest, AnErrorThatNoAddressExplainsBringsARetry) {
  start();
  const uint32_t calls = card.calls;
  on_card([](KernelCard& c) { c.fails_after = 1; });
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  EXPECT_EQ(card.calls, calls + 2);
}

}  // namespace
}  // namespace usernic::rx_kernel_style_test
