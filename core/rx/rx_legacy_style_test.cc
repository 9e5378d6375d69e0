// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver style: set_rx_mode under addr_list_lock.
#include "core/rx/rx_style_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/rx_lists.h"
#include "usernic/rx_style.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::rx_legacy_style_test {
namespace {

struct LegacyCard {
  std::set<MacAddress> exact;
  bool promisc = false, allmulti = false;
  uint32_t calls = 0;
  bool atomic = true;
  std::function<void()> on_call;
};

struct LegacyDriver : Plain {
  LegacyDriver(NetDevice& dev, LegacyCard& card) : Plain(dev), card_(card) {}
  void set_rx_mode(const RxLists& lists) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    ++card_.calls;
    card_.atomic = card_.atomic && current_context() == Context::kBhDisabled;
    card_.exact.clear();
    for (MacAddress address : lists.unicast()) card_.exact.insert(address);
    for (MacAddress address : lists.multicast()) card_.exact.insert(address);
    card_.promisc = lists.promisc();
    card_.allmulti = lists.allmulti();
    if (card_.on_call) card_.on_call();
  }
  LegacyCard& card_;
};

using LegacyStyleTest = StyleTest<LegacyDriver, LegacyCard>;

TEST_F(LegacyStyleTest, IsCalledUnderTheLockWithEverythingWantedAndThenAllIsCovered) {
  start();
  EXPECT_EQ(card.calls, 1u) << "after open, whatever is wanted";
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(mode.set_allmulti(1));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(1)}));
  EXPECT_TRUE(card.allmulti && !card.promisc);
  EXPECT_TRUE(mode.covered(uc(1)) && mode.covered(mc(1)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok");
  ASSERT_TRUE(dev->uc().del(uc(1)));
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  EXPECT_TRUE(card.atomic || !kChecksOn);
}

TEST_F(LegacyStyleTest, ASleepInItIsCaught) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  card.on_call = [] { might_sleep(); };
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  on_card([&](LegacyCard&) {
    ASSERT_EQ(reports.rules(), "sleep-in-atomic");
    EXPECT_NE(reports.all[0].text.find("in the driver's set_rx_mode"), std::string::npos) << reports.all[0].text;
  });
}

TEST_F(LegacyStyleTest, ComesBackAfterResetAndReopen) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  lose_filter();
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  ASSERT_TRUE(dev->close());
  card.exact.clear();
  ASSERT_TRUE(dev->open());
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
}

TEST_F(LegacyStyleTest, CallSoonCallsAlthoughNothingChanged) {
  start();
  const uint32_t calls = card.calls;
  mode.call_soon();
  dev->lane().flush();
  on_card([&](LegacyCard& c) { EXPECT_EQ(c.calls, calls + 1); });
}

}  // namespace
}  // namespace usernic::rx_legacy_style_test

USERNIC_UNSEEN_BY_CLANG_END
