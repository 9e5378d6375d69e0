// SPDX-License-Identifier: Apache-2.0 OR MIT
// A card without a unicast filter: the device is promiscuous while its unicast list is not empty, in every style.
#include "core/rx_style_fixture.h"
#include "usernic/kernel_names.h"

namespace usernic {
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
  void set_rx_mode(const RxLists& lists) noexcept {
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
  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept {
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

// ---- in the kernel's names ------------------------------------------------------------------------------------------

using namespace usernic::kernel_names;

bool promisc_of(struct net_device* dev) {
  LaneGuard lane(dev->lane());
  return *static_cast<bool*>(netdev_priv(dev));
}
int up(struct net_device*) {
  return 0;
}
netdev_tx_t drop(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
void set_multicast(struct net_device* dev) {
  *static_cast<bool*>(netdev_priv(dev)) = (netif_get_flags(dev) & IFF_PROMISC) != 0;
}
int set_multicast_async(struct net_device* dev, struct netdev_hw_addr_list*, struct netdev_hw_addr_list*) {
  set_multicast(dev);
  return 0;
}
int set_multicast_under_rtnl(struct net_device* dev, struct netdev_hw_addr_list*, struct netdev_hw_addr_list*) {
  ASSERT_RTNL();
  set_multicast(dev);
  return 0;
}
constexpr struct net_device_ops legacy_ops = {
    .ndo_open = up, .ndo_stop = up, .ndo_start_xmit = drop, .ndo_set_rx_mode = set_multicast};
constexpr struct net_device_ops async_ops = {
    .ndo_open = up, .ndo_stop = up, .ndo_start_xmit = drop, .ndo_set_rx_mode_async = set_multicast_async};
constexpr struct net_device_ops rtnl_ops = {.ndo_open = up,
                                            .ndo_stop = up,
                                            .ndo_start_xmit = drop,
                                            .ndo_set_rx_mode_async = set_multicast_under_rtnl,
                                            .requires_rtnl = true};

struct KernelUnicastFilterTest : testing::Test {
  Net net;
  init_net_is here{net};
  // With one more unicast address: is the card promiscuous?
  bool promisc_with_an_address(struct net_device* dev) {
    EXPECT_EQ(register_netdev(dev), 0);
    EXPECT_EQ(dev_open(dev), 0);
    EXPECT_EQ(dev_uc_add(dev, uc(9).octets.data()), 0);
    EXPECT_TRUE(dev->rx_mode().settle(soon()));
    const bool promisc = promisc_of(dev);
    EXPECT_TRUE(dev->rx_mode().covered(uc(9)));
    unregister_netdev(dev);
    free_netdev(dev);
    return promisc;
  }
};

TEST_F(KernelUnicastFilterTest, ATableHasNoneUntilItSaysIffUnicastFlt) {
  EXPECT_TRUE(promisc_with_an_address(alloc_etherdev<&legacy_ops>(8)));
  EXPECT_TRUE(promisc_with_an_address(alloc_etherdev<&async_ops>(8)));
  struct net_device* const filters = alloc_etherdev<&legacy_ops>(8);
  netdev_add_priv_flags(filters, IFF_UNICAST_FLT);
  EXPECT_FALSE(promisc_with_an_address(filters));
}

TEST_F(KernelUnicastFilterTest, ATableThatAsksForRtnlIsCalledUnderIt) {
  Reports reports;
  EXPECT_TRUE(promisc_with_an_address(alloc_etherdev<&rtnl_ops>(8)));
  EXPECT_EQ(reports.rules(), "");
}

}  // namespace
}  // namespace usernic
