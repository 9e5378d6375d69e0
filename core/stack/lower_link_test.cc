// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/lower_link.h"

#include "core/device/device.h"
#include "core/stack/lower_link_fixture.h"
#include "testing/plain_driver.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

TEST_F(LowerLinkTest, WhatTheUpperWantsGoesDownWhileItIsUp) {
  const NetdevPtr low = nic(), up = upper();
  ASSERT_EQ(link(up, low), "ok");
  ASSERT_TRUE(up->mc().add(mc(1)) && up->uc().add(uc(1)));
  EXPECT_TRUE(low->mc().contains(mc(1)) && low->uc().contains(uc(1)));
  ASSERT_TRUE(low->mc().add(mc(1)));  // the lower's own user
  ASSERT_TRUE(up->close());
  EXPECT_EQ(low->mc().references(mc(1)), 1u);
  EXPECT_EQ(low->uc().size(), 0u);
  ASSERT_TRUE(up->uc().add(uc(2)));
  EXPECT_EQ(low->uc().size(), 0u);
  ASSERT_TRUE(up->open());
  EXPECT_EQ(low->uc().snapshot(), (std::vector{uc(1), uc(2)}));
  ASSERT_TRUE(low->rx_mode().settle(soon()));
  EXPECT_TRUE(low->rx_mode().covered(uc(2)));
}

TEST_F(LowerLinkTest, EightDevicesAreTheHighestStack) {
  const NetdevPtr low = nic();
  const std::vector<NetdevPtr> ups = stack(kStackMax - 1);
  ASSERT_EQ(link(ups[0], low), "ok");
  EXPECT_EQ(link(upper(), ups.back()), "EMLINK");
  const NetdevPtr third = upper();
  EXPECT_EQ(link(ups[0], third), "ok") << "a second one as low as the first";
  EXPECT_EQ(link(third, nic()), "EMLINK");
  ASSERT_TRUE(ups.back()->mc().add(mc(1)) && ups.back()->rx_mode().set_promiscuity(1));
  EXPECT_TRUE(low->mc().contains(mc(1)) && third->mc().contains(mc(1)));
  EXPECT_EQ(low->rx_mode().status().promiscuity, 1u);
  ASSERT_TRUE(ups.back()->mc().del(mc(1)) && ups.back()->rx_mode().set_promiscuity(-1));
  EXPECT_EQ(low->mc().size(), 0u);
  EXPECT_EQ(low->rx_mode().status().promiscuity, 0u);
  of(ups[3]).remove(*ups[2]);
  EXPECT_EQ(link(ups[0], upper()), "ok");
  EXPECT_EQ(link(upper(), ups.back()), "ok") << "a chain is measured anew when a link goes";
}

TEST_F(LowerLinkTest, LoopsAreRefused) {
  const std::vector<NetdevPtr> ups = stack(4);
  EXPECT_EQ(link(ups[0], ups[0]), "ELOOP");
  EXPECT_EQ(link(ups[0], ups[1]), "ELOOP");
  EXPECT_EQ(link(ups[0], ups[3]), "ELOOP");
  EXPECT_EQ(link(ups[3], ups[2]), "EEXIST");
  const NetdevPtr side = upper();
  ASSERT_EQ(link(ups[3], side), "ok");
  EXPECT_EQ(link(side, ups[0]), "ok") << "two ways down are no loop";
  EXPECT_EQ(link(ups[0], side), "ELOOP");
  ASSERT_TRUE(ups[3]->mc().add(mc(1)));
  EXPECT_EQ(ups[0]->mc().references(mc(1)), 2u);
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(uppers_of(*ups[0]).size(), 2u);
  EXPECT_EQ(lowers_of(*ups[3]).size(), 2u);
}

TEST_F(LowerLinkTest, DevicesOfAnotherNetAndThatAreGoneAreRefused) {
  Net other;
  TestCard card;
  const NetdevPtr stranger = *other.alloc_netdev<TestDriver>({.name = "nic0"}, card);
  ASSERT_TRUE(stranger->register_netdev());
  const NetdevPtr up = upper(), low = nic();
  EXPECT_EQ(link(up, stranger), "EINVAL");
  low->unregister_netdev();
  EXPECT_EQ(link(up, low), "ENODEV");
}

TEST_F(LowerLinkTest, TheGraphIsChangedAndReadUnderRtnlOnly) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const NetdevPtr up = upper(), low = nic();
  Work changed([] {});
  LowerLink link(*up, up->lane(), changed);
  Reports reports;
  const auto reported = [&reports] { return std::exchange(reports.all, {}).size(); };
  ASSERT_EQ(outcome(link.link(*low)), "ok");
  EXPECT_EQ(reported(), 1u);
  link.activate();
  EXPECT_EQ(reported(), 1u);
  link.deactivate();
  EXPECT_EQ(reported(), 1u);
  (void)uppers_of(*low);
  EXPECT_EQ(reported(), 1u);
  (void)lowers_of(*up);
  EXPECT_EQ(reported(), 1u);
  link.unlink();
  EXPECT_EQ(reported(), 1u);
}

TEST_F(LowerLinkTest, ALinkThatFailsLeavesTheLevelsAsTheyWere) {
  const NetdevPtr up = upper(), over = upper(), low = nic(), below = upper();
  ASSERT_EQ(link(over, up), "ok");
  ASSERT_EQ(link(below, low), "ok");
  std::vector<NetdevPtr> lowers;
  do {
    lowers.push_back(nic());
    ASSERT_LE(lowers.size(), AddressTable::kSubscribersMax + 1);
  } while (link(up, lowers.back()) == "ok");
  EXPECT_EQ(link(up, below), "ENOSPC");
  const auto level = [](const NetdevPtr& dev) { return Device::of(*dev).engine.wanted.level(); };
  EXPECT_EQ(level(up), 1);
  EXPECT_EQ(level(below), 0);
  EXPECT_EQ(level(low), 1);
}

TEST_F(LowerLinkTest, ALinkThatFailsHalfWayFollowsNeitherList) {
  const NetdevPtr up = upper(), low = nic();
  std::vector<NetdevPtr> others;
  do {
    others.push_back(nic());
    ASSERT_LE(others.size(), AddressTable::kSubscribersMax + 1);
  } while (sync(others.back()->mc(), up->mc()));
  EXPECT_EQ(link(up, low), "ENOSPC");
  others.pop_back();
  for (const NetdevPtr& other : others) ASSERT_TRUE(sync(other->uc(), up->uc())) << "as many as of the other list";
}

// The pool of a lower that holds so much has no room for what an upper may tell at once.
void starve(const NetdevPtr& low) {
  const size_t entries = AddressEntry::kInSlab - kTellEntries + 1;
  for (uint64_t n = 0; n < entries; ++n) ASSERT_TRUE(low->mc().add(mc(0x10000 + n)));
  {
    const Wanted& wanted = Device::of(*low).engine.wanted;
    ListGuard guard(wanted.lock, wanted.level());
    ASSERT_LT(wanted.pool.free_entries(), kTellEntries);
  }
}

TEST_F(LowerLinkTest, LowersWithoutRoomAreToldAllTheSame) {
  const NetdevPtr up = upper(), low = nic(), second = nic(), third = nic();
  for (const NetdevPtr* each : {&low, &second, &third}) {
    ASSERT_EQ(link(up, *each), "ok");
    starve(*each);
  }
  ASSERT_TRUE(up->mc().add(mc(1)));
  for (int i = 0; i < 3; ++i) up->lane().flush();  // one at a time is told in the context of the change
  for (const NetdevPtr* each : {&low, &second, &third}) EXPECT_TRUE((*each)->mc().contains(mc(1)));
}

TEST_F(LowerLinkTest, SoAreTwoOfDifferentUppers) {
  const NetdevPtr top = upper();
  std::vector<NetdevPtr> lowers;  // each middle one, and its own
  for (int i = 0; i < 2; ++i) {
    NetdevPtr middle = upper(), low = nic();
    ASSERT_EQ(link(middle, low), "ok");
    ASSERT_EQ(link(top, middle), "ok");
    starve(low);
    lowers.push_back(std::move(middle)), lowers.push_back(std::move(low));
  }
  ASSERT_TRUE(top->mc().add(mc(1)));
  for (const NetdevPtr& each : lowers) {
    each->lane().flush();
    EXPECT_TRUE(each->mc().contains(mc(1))) << each->name();
  }
}

TEST_F(LowerLinkTest, ALowerWithoutRoomKnowsAllWhenItsUpperIsOpen) {
  const NetdevPtr up = upper(), low = nic();
  ASSERT_TRUE(up->close());
  ASSERT_EQ(link(up, low), "ok");
  starve(low);
  for (uint64_t n = 1; n <= 200; ++n) ASSERT_TRUE(up->mc().add(mc(n)));
  ASSERT_TRUE(up->open());
  for (uint64_t n = 1; n <= 200; ++n) ASSERT_TRUE(low->mc().contains(mc(n))) << n;
}

// Two locks of one class at one level, or in the wrong order, would be a report, and a report aborts.
TEST_F(LowerLinkTest, LevelsAreRightWhenStacksAreJoinedInAnyOrder) {
  const NetdevPtr low = nic();
  const std::vector<NetdevPtr> first = stack(3), second = stack(3);
  ASSERT_EQ(link(first[0], low), "ok");
  ASSERT_EQ(link(second[0], first[2]), "ok");
  ASSERT_EQ(link(second[2], low), "ok");
  ASSERT_TRUE(second[2]->mc().add(mc(1)));
  EXPECT_EQ(low->mc().references(mc(1)), 2u);
  of(second[0]).remove(*first[2]);
  ASSERT_EQ(link(first[0], second[2]), "ok");  // the other way round
  ASSERT_TRUE(first[2]->mc().add(mc(2)));
  EXPECT_EQ(second[0]->mc().snapshot(), (std::vector{mc(1), mc(2)}));
  EXPECT_EQ(low->mc().snapshot(), (std::vector{mc(1), mc(2)}));
}

TEST_F(LowerLinkTest, PromiscuityAndAllmultiAreOneReferenceALink) {
  const NetdevPtr low = nic(), one = upper(), two = upper();
  const auto counts = [&] {
    const RxModeStatus status = low->rx_mode().status();
    return std::pair(status.promiscuity, status.allmulti);
  };
  ASSERT_EQ(link(one, low), "ok");
  ASSERT_TRUE(one->rx_mode().set_promiscuity(1) && one->rx_mode().set_promiscuity(1));
  EXPECT_EQ(counts(), std::pair(1u, 0u));
  ASSERT_TRUE(two->rx_mode().set_promiscuity(1) && two->rx_mode().set_allmulti(1));
  ASSERT_EQ(link(two, low), "ok");
  EXPECT_EQ(counts(), std::pair(2u, 1u));
  ASSERT_TRUE(one->rx_mode().set_promiscuity(-1));
  EXPECT_EQ(counts(), std::pair(2u, 1u));
  ASSERT_TRUE(one->rx_mode().set_promiscuity(-1));
  EXPECT_EQ(counts(), std::pair(1u, 1u));
  ASSERT_TRUE(two->close() && two->rx_mode().set_allmulti(-1));
  EXPECT_EQ(counts(), std::pair(0u, 0u));
  ASSERT_TRUE(two->open());
  EXPECT_EQ(counts(), std::pair(1u, 0u));
  of(two).remove(*low);
  EXPECT_EQ(counts(), std::pair(0u, 0u));
}

TEST_F(LowerLinkTest, AnOwnAddressThatIsNotTheLowersIsWantedOfIt) {
  const NetdevPtr low = nic(uc(1)), up = upper(uc(2));
  ASSERT_EQ(link(up, low), "ok");
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(2)});
  ASSERT_TRUE(up->set_mac_address(uc(3)));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(3)});
  ASSERT_TRUE(low->set_mac_address(uc(3)));
  EXPECT_EQ(low->uc().size(), 0u);
  ASSERT_TRUE(low->set_mac_address(uc(1)));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(3)});
  ASSERT_TRUE(up->set_mac_address(uc(1)));
  EXPECT_EQ(low->uc().size(), 0u);
  ASSERT_TRUE(up->set_mac_address(uc(4)) && up->close());
  EXPECT_EQ(low->uc().size(), 0u);
}

TEST_F(LowerLinkTest, AUserCannotTakeBackWhatIsAnUppers) {
  const NetdevPtr low = nic(), up = upper();
  ASSERT_EQ(link(up, low), "ok");
  ASSERT_TRUE(up->rx_mode().set_promiscuity(1) && up->rx_mode().set_allmulti(1));
  EXPECT_EQ(outcome(low->rx_mode().set_promiscuity(-1)), "EINVAL");
  EXPECT_EQ(outcome(low->rx_mode().set_allmulti(-1)), "EINVAL");
  EXPECT_EQ(low->rx_mode().status().promiscuity, 1u);
  ASSERT_TRUE(up->close());  // takes back what it put there
  EXPECT_EQ(low->rx_mode().status().promiscuity + low->rx_mode().status().allmulti, 0u);
}

// An upper whose own address takes a slot has it in its list as an entry of its own.
TEST_F(LowerLinkTest, AnOwnAddressThatIsListedTooStaysWantedWhenItIsTheOwnOneNoMore) {
  const NetdevPtr low = nic(uc(1));
  const NetdevPtr up = *net.alloc_netdev<SlotUpper>({.name = "slot%d", .address = uc(2)});
  ASSERT_TRUE(up->register_netdev() && up->open());
  ASSERT_EQ(link(up, low), "ok");
  ASSERT_TRUE(up->uc().add(uc(2)) && up->set_mac_address(uc(3)));
  EXPECT_EQ(low->uc().snapshot(), (std::vector{uc(2), uc(3)}));
  ASSERT_TRUE(up->set_mac_address(uc(2)) && up->uc().del(uc(2)));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(2)});
  ASSERT_TRUE(up->set_mac_address(uc(3)));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(3)});
}

TEST_F(LowerLinkTest, SyncBringsAListedOwnAddressToo) {
  const NetdevPtr low = nic(uc(1));
  const NetdevPtr up = *net.alloc_netdev<SlotUpper>({.name = "slot%d", .address = uc(2)});
  ASSERT_TRUE(up->register_netdev() && up->open());
  ASSERT_TRUE(sync(low->uc(), up->uc()) && up->uc().add(uc(2)));
  EXPECT_EQ(low->uc().size(), 0u);
  ASSERT_TRUE(up->set_mac_address(uc(3)) && sync(low->uc(), up->uc()));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(2)});
  ASSERT_TRUE(up->uc().add(uc(3)) && sync(low->uc(), up->uc()));
  EXPECT_EQ(low->uc().snapshot(), (std::vector{uc(2), uc(3)}));
  ASSERT_TRUE(up->uc().del(uc(3)) && sync(low->uc(), up->uc()));
  EXPECT_EQ(low->uc().snapshot(), std::vector{uc(2)});
  unsync(low->uc(), up->uc());
  EXPECT_EQ(low->uc().size(), 0u);
}

TEST_F(LowerLinkTest, WhatSyncBringsGoesFurtherDownByLinks) {
  const NetdevPtr low = nic(), mid = upper(), top = upper();
  ASSERT_EQ(link(mid, low), "ok");
  for (uint64_t n = 1; n <= 500; ++n) ASSERT_TRUE(top->mc().add(mc(n)));
  ASSERT_TRUE(sync(mid->mc(), top->mc()));
  EXPECT_EQ(mid->mc().size(), 500u);
  mid->lane().flush();
  EXPECT_EQ(low->mc().size(), 500u);
  unsync(mid->mc(), top->mc());
  mid->lane().flush();
  EXPECT_EQ(low->mc().size(), 0u);
}

TEST_F(LowerLinkTest, LoopsBySyncAreRefused) {
  const std::vector<NetdevPtr> ups = stack(3);
  const NetdevPtr side = upper(), other = upper();
  EXPECT_EQ(outcome(sync(ups[2]->mc(), ups[0]->mc())), "ELOOP") << "against the links";
  EXPECT_EQ(outcome(sync(ups[1]->mc(), ups[2]->mc())), "ok");
  EXPECT_EQ(outcome(sync(side->uc(), ups[0]->uc())), "ok");
  EXPECT_EQ(outcome(sync(other->mc(), side->mc())), "ok");
  EXPECT_EQ(outcome(sync(ups[2]->mc(), other->mc())), "ELOOP") << "two syncs and the links";
  EXPECT_EQ(link(other, ups[2]), "ELOOP");
  EXPECT_EQ(outcome(sync(side->mc(), other->mc())), "ELOOP");
  unsync(other->mc(), side->mc());
  EXPECT_EQ(outcome(sync(side->mc(), other->mc())), "ok");
  unsync(side->mc(), other->mc());
  unsync(side->uc(), ups[0]->uc());
  unsync(ups[1]->mc(), ups[2]->mc());
}

// Every device of a row on every one of the next: 16^7 ways down.
TEST_F(LowerLinkTest, ManyWaysDownAreLookedAtOnce) {
  constexpr size_t kRow = 16;
  std::vector<NetdevPtr> rows[kStackMax];
  for (std::vector<NetdevPtr>& row : rows) {
    for (size_t i = 0; i < kRow; ++i) row.push_back(upper());
  }
  for (size_t at = 1; at < kStackMax; ++at) {
    for (const NetdevPtr& above : rows[at]) {
      for (const NetdevPtr& below : rows[at - 1]) ASSERT_EQ(link(above, below), "ok");
    }
  }
  EXPECT_EQ(link(rows[0][0], rows[kStackMax - 1][0]), "ELOOP");
}

TEST_F(LowerLinkTest, ManyLowersOfWhichSomeFailAreDownOrGo) {
  constexpr size_t kLowers = 63;
  std::vector<NetdevPtr> lows;
  const NetdevPtr up = upper();
  for (size_t i = 0; i < kLowers; ++i) {
    lows.push_back(nic());
    ASSERT_EQ(link(up, lows[i]), "ok");
  }
  EXPECT_EQ(link(up, nic()), "ENOSPC");
  {
    MutexGuard guard(cards[5].mutex);
    cards[5].decide = [](const RxCommand&, bool&) { return Result<>(fail(std::errc::io_error)); };
  }
  ASSERT_TRUE(lows[6]->close());
  for (uint64_t n = 1; n <= 300; ++n) {
    ASSERT_TRUE(up->mc().add(mc(n)));
    if (n == 100) lows[7]->unregister_netdev();
    if (n == 200) of(up).remove(*lows[8]);
    if (n % 3 != 0) continue;
    ASSERT_TRUE(up->mc().del(mc(n)));
  }
  ASSERT_TRUE(up->rx_mode().set_promiscuity(1));
  up->lane().flush();
  EXPECT_EQ(of(up).lowers(), kLowers - 2);
  for (size_t i = 0; i < kLowers; ++i) {
    if (i == 7) continue;
    EXPECT_EQ(lows[i]->mc().size(), i == 8 ? 0u : 200u) << i;
    EXPECT_EQ(lows[i]->rx_mode().status().promiscuity, i == 8 ? 0u : 1u) << i;
    if (i == 5 || i == 6) continue;
    EXPECT_EQ(outcome(lows[i]->rx_mode().settle(soon())), "ok") << i;
  }
  EXPECT_FALSE(lows[5]->rx_mode().covered(mc(1)));
  ASSERT_TRUE(up->close() && up->rx_mode().set_promiscuity(-1));
  for (size_t i = 0; i < kLowers; ++i) {
    if (i == 7) continue;
    EXPECT_EQ(lows[i]->mc().size(), 0u) << i;
    EXPECT_EQ(lows[i]->rx_mode().status().promiscuity, 0u) << i;
  }
}

TEST_F(LowerLinkTest, ALowerThatGoesIsUnlinkedAndTheUpperHears) {
  const NetdevPtr up = upper();
  NetdevPtr low = nic(), other = nic();
  ASSERT_TRUE(link(up, low) == "ok" && link(up, other) == "ok");
  ASSERT_TRUE(up->mc().add(mc(1)));
  up->lane().flush();
  const uint32_t before = of(up).changes.count();
  low.reset();
  ASSERT_TRUE(of(up).changes.wait(before + 1));
  EXPECT_EQ(of(up).lowers(), 1u);
  ASSERT_TRUE(up->mc().add(mc(2)));
  EXPECT_EQ(other->mc().size(), 2u);
}

// Whoever finds it unused frees it and what it queues, while the lower's unregistering is still on its way out. Needs
// tsan or asan to see a late touch.
TEST_F(LowerLinkTest, ALinkMayBeFreedAsSoonAsItIsUnused) {
  const NetdevPtr up = upper();
  for (int round = 0; round < 100; ++round) {
    NetdevPtr low = nic();
    auto queue = std::make_unique<Workqueue>(net, "short", Workqueue::kOrdered);
    auto changed = std::make_unique<Work>([] {});
    auto link = std::make_unique<LowerLink>(*up, *queue, *changed);
    {
      MutexGuard rtnl(net.rtnl());
      ASSERT_EQ(outcome(link->link(*low)), "ok");
    }
    const Link& inside = Device::of(*low).uppers.front();
    Thread owner("owner", [&] {
      while (inside.in_use.load()) spin_pause();
      link.reset();
      changed->cancel_sync();
      changed.reset();
      queue.reset();
    });
    low.reset();
  }
}

TEST_F(LowerLinkTest, AnUpperThatGoesTakesEverythingBack) {
  const NetdevPtr low = nic();
  NetdevPtr up = upper(uc(7));
  ASSERT_EQ(link(up, low), "ok");
  ASSERT_TRUE(up->mc().add(mc(1)) && up->uc().add(uc(1)) && up->rx_mode().set_allmulti(1));
  EXPECT_EQ(low->uc().size(), 2u);
  up.reset();
  EXPECT_EQ(low->uc().size() + low->mc().size(), 0u);
  EXPECT_EQ(low->rx_mode().status().allmulti, 0u);
  MutexGuard rtnl(net.rtnl());
  EXPECT_TRUE(uppers_of(*low).empty());
}

TEST_F(LowerLinkTest, TheUpperHearsOfCarrierMtuAddressAndLife) {
  const NetdevPtr low = nic(), up = upper();
  ASSERT_EQ(link(up, low), "ok");
  const auto hears = [&](auto&& happens) {
    up->lane().flush();
    const uint32_t before = of(up).changes.count();
    happens();
    return of(up).changes.wait(before + 1);
  };
  EXPECT_TRUE(hears([&] { low->carrier_off(); }));
  EXPECT_TRUE(hears([&] { low->carrier_on(); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->change_mtu(1400)); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->set_mac_address(uc(9))); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->close()); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->open()); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->detach()); }));
  EXPECT_TRUE(hears([&] { ASSERT_TRUE(low->attach()); }));
}

TEST_F(LowerLinkTest, EachOfManyChangesIsDownWhenItsCallerReturns) {
  const NetdevPtr low = nic();
  const std::vector<NetdevPtr> ups = stack(3);
  ASSERT_EQ(link(ups[0], low), "ok");
  for (uint64_t n = 1; n <= 3'000; ++n) {
    ASSERT_TRUE(ups[2]->mc().add(mc(n)));
    ASSERT_TRUE(low->mc().contains(mc(n))) << n;  // also when a pool on the way was empty
  }
}

TEST_F(LowerLinkTest, LongListsComeAndGoWithTheLink) {
  constexpr uint64_t kMany = 5'000;
  const NetdevPtr low = nic(), up = upper();
  for (uint64_t n = 1; n <= kMany; ++n) ASSERT_TRUE(up->mc().add(mc(n)));
  ASSERT_EQ(link(up, low), "ok");
  EXPECT_EQ(low->mc().size(), kMany);
  of(up).activate(*low, false);
  EXPECT_EQ(low->mc().size(), 0u);
  for (uint64_t n = 1; n <= kMany; ++n) ASSERT_TRUE(up->mc().del(mc(n)));
  of(up).activate(*low, true);
  EXPECT_EQ(low->mc().size(), 0u);
}

// Follows from its init on, before it is registered.
struct EarlyUpper : PlainDriver {
  EarlyUpper(NetDevice& dev, NetDevice& lower)
      : PlainDriver(dev), lower(lower), changed([] {}, &dev), link(dev, dev.lane(), changed) {}
  ~EarlyUpper() { changed.cancel_sync(); }
  Result<> init() {
    if (const Result<> linked = link.link(lower); !linked) return linked;
    link.activate();
    return {};
  }
  NetDevice& lower;
  Work changed;
  LowerLink link;
};

TEST_F(LowerLinkTest, AnUpperThatFollowsFromItsInitOnHasItsOwnAddressBelow) {
  const NetdevPtr low = nic();
  const NetdevPtr up = *net.alloc_netdev<EarlyUpper>({.name = "early", .address = uc(9)}, *low);
  ASSERT_TRUE(up->register_netdev());
  EXPECT_TRUE(low->uc().contains(uc(9)));
}

}  // namespace
}  // namespace usernic
