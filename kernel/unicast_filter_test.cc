// SPDX-License-Identifier: Apache-2.0 OR MIT
// A table without IFF_UNICAST_FLT is promiscuous while its unicast list is not empty.
#include <gtest/gtest.h>

#include "core/rx/rx_style_fixture.h"
#include "kernel/names.h"

namespace usernic::kernel_unicast_filter_test {
namespace {

using namespace usernic::kernel;

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
}  // namespace usernic::kernel_unicast_filter_test
