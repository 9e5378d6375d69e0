// SPDX-License-Identifier: Apache-2.0 OR MIT
// A card without a unicast filter: the device is promiscuous while its unicast list is not empty, in every style.
#include "core/rx/rx_style_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_lists.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::rx_no_unicast_filter_test {
namespace {

// A multicast filter, the own address, and a promisc bit.
struct DeafCard {
  std::set<MacAddress> exact;
  bool promisc = false;
  bool under_rtnl = true;
  std::string told;  // by change_rx_flags
  bool accepts(const MacAddress& address) const { return promisc || exact.contains(address); }
};

struct LegacyDeaf : Plain {
  LegacyDeaf(NetDevice& dev, DeafCard& card) : Plain(dev), card_(card) {}
  bool unicast_filter() const { return false; }
  void set_rx_mode(const RxLists& lists) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    card_.promisc = lists.promisc();
    card_.exact.clear();
    for (MacAddress address : lists.multicast()) card_.exact.insert(address);
  }
  void change_rx_flags(RxFlags changed) {
    if (changed.promisc) card_.told += dev_.rx_mode().promisc() ? "on " : "off ";
  }
  DeafCard& card_;
};

struct ImageDeaf : Plain {
  struct RxModeImage {
    bool promisc = false;
    MacAddress group;
  };
  ImageDeaf(NetDevice& dev, DeafCard& card) : Plain(dev), card_(card) {}
  bool unicast_filter() const { return false; }
  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept USERNIC_NONBLOCKING {
    image = {.promisc = lists.promisc(), .group = {}};
    for (MacAddress address : lists.multicast()) image.group = address;
    return {};
  }
  Result<> write_rx_mode(const RxModeImage& image) {
    card_.promisc = image.promisc;
    card_.exact = {image.group};
    return {};
  }
  DeafCard& card_;
};

struct KernelDeaf : Plain {
  KernelDeaf(NetDevice& dev, DeafCard& card) : Plain(dev), card_(card) {}
  bool unicast_filter() const { return false; }
  int set_rx_mode_async(NetDevice* dev, HwAddrList*, HwAddrList* mc_list) {
    card_.promisc = dev->rx_mode().promisc();
    card_.exact.clear();
    for (HwAddr* ha = mc_list->first(); ha != nullptr; ha = mc_list->next(*ha))
      card_.exact.insert(MacAddress::from_bytes(ha->addr));
    return 0;
  }
  DeafCard& card_;
};

struct PlanDeaf : Plain {
  PlanDeaf(NetDevice& dev, DeafCard& card) : Plain(dev), card_(card) {}
  RxFilterCaps rx_filter_caps() const { return {.multicast_slots = 8}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) {
      const bool on = command->kind == RxCommandKind::kWiden || command->kind == RxCommandKind::kAdd;
      if (command->object == RxObject::kPromisc) card_.promisc = on;
      if (command->object == RxObject::kMulticast)
        on ? void(card_.exact.insert(command->address)) : void(card_.exact.erase(command->address));
      plan.answer(*command, {});
    }
  }
  DeafCard& card_;
};

template <class Driver>
struct NoUnicastFilterTest : StyleTest<Driver, DeafCard> {};
using Styles = testing::Types<LegacyDeaf, ImageDeaf, KernelDeaf, PlanDeaf>;
TYPED_TEST_SUITE(NoUnicastFilterTest, Styles);

TYPED_TEST(NoUnicastFilterTest, PromiscCarriesWhatIsInTheUnicastListAndNothingElse) {
  this->start();
  const auto promisc = [this] { return this->on_card([](DeafCard& c) { return c.promisc; }); };
  EXPECT_FALSE(promisc()) << "the own address has a register";
  ASSERT_TRUE(this->dev->mc().add(mc(1)));
  this->settle();
  EXPECT_FALSE(promisc()) << "groups have a filter";
  ASSERT_TRUE(this->dev->uc().add(uc(1)));
  ASSERT_TRUE(this->dev->uc().add(uc(2)));
  EXPECT_EQ(outcome(this->mode.wait(this->mode.ticket(uc(1)), soon())), "ok");
  this->settle();
  EXPECT_TRUE(this->on_card([](DeafCard& c) { return c.accepts(uc(1)) && c.accepts(uc(2)) && c.accepts(mc(1)); }));
  EXPECT_EQ(this->mode.status().unicast_mode, FilterMode::kPromisc);
  EXPECT_EQ(this->mode.status().reason, "2 unicast addresses, no unicast filter");
  ASSERT_TRUE(this->dev->uc().del(uc(1)));
  this->settle();
  EXPECT_TRUE(promisc()) << "one is left";
  ASSERT_TRUE(this->dev->uc().del(uc(2)));
  this->settle();
  EXPECT_FALSE(promisc());
  EXPECT_TRUE(this->mode.covered(mc(1)));
  EXPECT_EQ(this->mode.status().reason, "everything fits");
}

TYPED_TEST(NoUnicastFilterTest, ItComesBackAfterAResetAndAnOpen) {
  this->start();
  ASSERT_TRUE(this->dev->uc().add(uc(1)));
  this->settle();
  this->lose_filter();
  this->settle();
  EXPECT_TRUE(this->on_card([](DeafCard& c) { return c.promisc; }));
  ASSERT_TRUE(this->dev->close());
  this->card.promisc = false;
  ASSERT_TRUE(this->dev->open());
  this->settle();
  EXPECT_TRUE(this->on_card([](DeafCard& c) { return c.promisc; }));
}

using LegacyDeafTest = StyleTest<LegacyDeaf, DeafCard>;
TEST_F(LegacyDeafTest, WhoPassesFlagsOnIsTold) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(2)));
  settle();
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().del(uc(2)));
  settle();
  EXPECT_EQ(on_card([](DeafCard& c) { return c.told; }), "on off ");
}

}  // namespace
}  // namespace usernic::rx_no_unicast_filter_test

USERNIC_UNSEEN_BY_CLANG_END
