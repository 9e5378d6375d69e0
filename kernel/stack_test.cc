// SPDX-License-Identifier: Apache-2.0 OR MIT
// Stacked drivers in kernel style: ndo_set_rx_mode, under the upper's netif_addr_lock, calls dev_uc_sync(lower, dev),
// and ndo_change_rx_flags calls dev_set_promiscuity(lower, one more or fewer).
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kernel/names.h"
#include "testing/addresses.h"
#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic::kernel_stack_test {
namespace {

using namespace usernic::kernel;

struct upper_priv {
  struct net_device* lowers[2];
  bool multiple;
  int err;        // of the last call
  int flags_err;  // of any ndo_change_rx_flags, ndo_open, ndo_stop
};
upper_priv* upper_of(struct net_device* dev) {
  return static_cast<upper_priv*>(netdev_priv(dev));
}

void upper_set_rx_mode(struct net_device* dev) {
  upper_priv* priv = upper_of(dev);
  priv->err = 0;
  for (struct net_device* lower : priv->lowers) {
    if (!lower) continue;
    priv->err |= priv->multiple ? dev_uc_sync_multiple(lower, dev) : dev_uc_sync(lower, dev);
    priv->err |= priv->multiple ? dev_mc_sync_multiple(lower, dev) : dev_mc_sync(lower, dev);
  }
}
void upper_change_rx_flags(struct net_device* dev, int change) {
  const unsigned flags = netif_get_flags(dev);
  for (struct net_device* lower : upper_of(dev)->lowers) {
    if (!lower) continue;
    int& err = upper_of(dev)->flags_err;
    if (change & IFF_ALLMULTI) err |= dev_set_allmulti(lower, flags & IFF_ALLMULTI ? 1 : -1);
    if (change & IFF_PROMISC) err |= dev_set_promiscuity(lower, flags & IFF_PROMISC ? 1 : -1);
  }
}
int upper_open(struct net_device* dev) {
  upper_change_rx_flags(dev, netif_get_flags(dev));
  netif_start_queue(dev);
  return 0;
}
int upper_stop(struct net_device* dev) {
  for (struct net_device* lower : upper_of(dev)->lowers) {
    if (!lower) continue;
    dev_uc_unsync(lower, dev);
    dev_mc_unsync(lower, dev);
    int& err = upper_of(dev)->flags_err;
    if (netif_get_flags(dev) & IFF_ALLMULTI) err |= dev_set_allmulti(lower, -1);
    if (netif_get_flags(dev) & IFF_PROMISC) err |= dev_set_promiscuity(lower, -1);
  }
  return 0;
}
netdev_tx_t drop(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
constexpr struct net_device_ops upper_ops = {.ndo_open = upper_open,
                                             .ndo_stop = upper_stop,
                                             .ndo_start_xmit = drop,
                                             .ndo_set_rx_mode = upper_set_rx_mode,
                                             .ndo_change_rx_flags = upper_change_rx_flags};

// A card whose driver walks its lists, as a legacy one does.
struct lower_priv {
  unsigned char last[128][ETH_ALEN];
  int count;
  unsigned flags;
};
void lower_set_rx_mode(struct net_device* dev) {
  lower_priv* priv = static_cast<lower_priv*>(netdev_priv(dev));
  struct netdev_hw_addr* ha;
  priv->count = 0;
  priv->flags = netif_get_flags(dev);
  netdev_for_each_uc_addr(ha, dev) {
    if (priv->count < 128) ether_addr_copy(priv->last[priv->count], ha->addr);
    ++priv->count;
  }
  priv->count += netdev_mc_count(dev);
}
int nothing(struct net_device*) {
  return 0;
}
constexpr struct net_device_ops lower_ops = {
    .ndo_open = nothing, .ndo_stop = nothing, .ndo_start_xmit = drop, .ndo_set_rx_mode = lower_set_rx_mode};

void filters_unicast(struct net_device* dev) {
  ether_setup(dev);
  netdev_add_priv_flags(dev, IFF_UNICAST_FLT);
}

struct KernelStack : testing::Test {
  Net net;
  init_net_is here{net};
  std::vector<struct net_device*> all;
  struct net_device* lower = add(alloc_netdev<&lower_ops>(sizeof(lower_priv), "eth%d", NET_NAME_ENUM, filters_unicast));
  struct net_device* upper = over(lower);

  struct net_device* add(struct net_device* dev) {
    EXPECT_EQ(register_netdev(dev), 0);
    all.push_back(dev);
    return dev;
  }
  struct net_device* over(struct net_device* below, struct net_device* second = nullptr) {
    auto* dev = alloc_netdev<&upper_ops>(sizeof(upper_priv), "up%d", NET_NAME_ENUM, filters_unicast);
    upper_of(dev)->lowers[0] = below;
    upper_of(dev)->lowers[1] = second;
    return add(dev);
  }
  void SetUp() override {
    for (struct net_device* dev : all) ASSERT_EQ(dev_open(dev), 0);
  }
  void TearDown() override {
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      unregister_netdev(*it);
      free_netdev(*it);
    }
  }
  void settle(struct net_device* dev) { ASSERT_EQ(outcome(dev->rx_mode().settle(soon())), "ok"); }
};

TEST_F(KernelStack, WhatTheUpperWantsTheLowerHasWhenTheCallIsOver) {
  ASSERT_EQ(dev_uc_add(upper, uc(1)), 0);
  ASSERT_EQ(dev_mc_add(upper, mc(1)), 0);
  ASSERT_EQ(dev_uc_add(lower, uc(1)), 0) << "its own user";
  settle(upper);
  EXPECT_EQ(upper_of(upper)->err, 0);
  EXPECT_EQ(lower->uc().references(uc(1)), 2u);
  EXPECT_TRUE(lower->mc().contains(mc(1)));
  settle(lower);
  EXPECT_TRUE(lower->rx_mode().covered(uc(1)) && lower->rx_mode().covered(mc(1)));
  ASSERT_EQ(dev_uc_del(upper, uc(1)), 0);
  ASSERT_EQ(dev_mc_del(upper, mc(1)), 0);
  settle(upper);
  EXPECT_EQ(lower->uc().references(uc(1)), 1u);
  EXPECT_TRUE(netdev_mc_empty(lower));
}

TEST_F(KernelStack, StopTakesBackAndOpenBringsItAgain) {
  ASSERT_EQ(dev_uc_add(upper, uc(1)), 0);
  settle(upper);
  dev_close(upper);
  EXPECT_TRUE(netdev_uc_empty(lower)) << "dev_uc_unsync takes both locks itself";
  ASSERT_EQ(dev_open(upper), 0);
  settle(upper);
  EXPECT_EQ(netdev_uc_count(lower), 1u);
}

// IFF_PROMISC and IFF_ALLMULTI of who looks from outside.
unsigned wide(struct net_device* dev) {
  return netif_get_flags(dev) & (IFF_PROMISC | IFF_ALLMULTI);
}

TEST_F(KernelStack, PromiscuityAndAllmultiGoDownByTheMaskOfWhatChanged) {
  ASSERT_EQ(dev_set_promiscuity(upper, 2), 0);
  settle(upper);
  EXPECT_EQ(wide(lower), IFF_PROMISC);
  EXPECT_EQ(lower->rx_mode().status().promiscuity, 1u) << "one of the upper's, however many it has";
  ASSERT_EQ(dev_set_allmulti(upper, 1), 0);
  settle(upper);
  EXPECT_EQ(wide(lower), IFF_PROMISC | IFF_ALLMULTI);
  ASSERT_EQ(dev_set_promiscuity(upper, -2), 0);
  settle(upper);
  EXPECT_EQ(wide(lower), IFF_ALLMULTI);
  dev_close(upper);
  EXPECT_EQ(wide(lower), 0u);
  ASSERT_EQ(dev_set_promiscuity(upper, 1), 0);
  ASSERT_EQ(dev_open(upper), 0);
  EXPECT_EQ(wide(lower), IFF_PROMISC | IFF_ALLMULTI) << "by ndo_open";
  settle(upper);
  EXPECT_EQ(lower->rx_mode().status().promiscuity, 1u) << "and not a second time";
  EXPECT_EQ(lower->rx_mode().status().allmulti, 1u);
  unregister_netdev(upper);
  free_netdev(upper);
  std::erase(all, upper);
  EXPECT_EQ(wide(lower), 0u);
}

TEST_F(KernelStack, WhoeverSwitchesWhateverWhenTheCountsBelowAreBalanced) {
  const auto sniff = [this](auto set) {
    for (int i = 0; i < 300; ++i) {
      EXPECT_EQ(set(upper, 1), 0);
      EXPECT_EQ(dev_mc_add(upper, mc(1)), 0);
      EXPECT_EQ(set(upper, -1), 0);
      EXPECT_EQ(dev_mc_del(upper, mc(1)), 0);
    }
  };
  {
    std::vector<Thread> sniffers;
    for (int i = 0; i < 2; ++i) sniffers.emplace_back("promisc", [&] { sniff(dev_set_promiscuity); });
    sniffers.emplace_back("allmulti", [&] { sniff(dev_set_allmulti); });
    for (int i = 0; i < 20; ++i) {
      dev_close(upper);
      EXPECT_EQ(dev_open(upper), 0);
    }
  }
  settle(upper);
  EXPECT_EQ(upper_of(upper)->flags_err, 0) << "nothing was given back that was not taken";
  EXPECT_EQ(lower->rx_mode().status().promiscuity, 0u);
  EXPECT_EQ(lower->rx_mode().status().allmulti, 0u);
}

TEST_F(KernelStack, SeveralLowersAndSeveralLevels) {
  struct net_device* second =
      add(alloc_netdev<&lower_ops>(sizeof(lower_priv), "eth%d", NET_NAME_ENUM, filters_unicast));
  struct net_device* bond = over(upper, second);
  upper_of(bond)->multiple = true;
  ASSERT_EQ(dev_open(second), 0);
  ASSERT_EQ(dev_open(bond), 0);
  ASSERT_EQ(dev_uc_add(bond, uc(1)), 0);
  settle(bond);
  EXPECT_EQ(netdev_uc_count(second), 1u);
  EXPECT_EQ(netdev_uc_count(upper), 1u);
  settle(upper);
  EXPECT_EQ(netdev_uc_count(lower), 1u) << "its set_rx_mode in its turn";
  dev_uc_unsync(second, bond);
  EXPECT_TRUE(netdev_uc_empty(second));
  EXPECT_EQ(netdev_uc_count(upper), 1u);
}

TEST_F(KernelStack, MoreThanAChunk) {
  for (uint64_t n = 1; n <= 1'000; ++n) ASSERT_EQ(dev_uc_add(upper, uc(n)), 0);
  settle(upper);
  EXPECT_EQ(netdev_uc_count(lower), 1'000u);
  dev_uc_flush(upper);
  settle(upper);
  EXPECT_EQ(netdev_uc_count(lower), 0u);
}

TEST_F(KernelStack, UnderTheLockOfAnybodyItIsCarriedOutByTheUnlock) {
  dev_close(upper);
  ASSERT_EQ(dev_uc_add(upper, uc(1)), 0);
  netif_addr_lock_bh(upper);
  EXPECT_EQ(dev_uc_sync(lower, upper), 0);
  EXPECT_EQ(dev_uc_sync(lower, upper), 0);
  EXPECT_EQ(dev_uc_sync(upper, upper), -EINVAL);
  EXPECT_EQ(netdev_uc_count(lower), 0u);
  netif_addr_unlock_bh(upper);
  EXPECT_EQ(lower->uc().references(uc(1)), 1u);
  ASSERT_EQ(dev_uc_del(upper, uc(1)), 0);
  EXPECT_EQ(netdev_uc_count(lower), 1u) << "until it is synced again";
  netif_addr_lock_bh(upper);
  EXPECT_EQ(dev_uc_sync(lower, upper), 0);
  netif_addr_unlock_bh(upper);
  EXPECT_TRUE(netdev_uc_empty(lower));
  netif_addr_lock_bh(upper);
  netif_addr_unlock_bh(upper);
}

TEST_F(KernelStack, WithoutTheLockAndInALoopItIsAReport) {
  settle(upper);
  Reports reports;
  if (kChecksOn) {
    EXPECT_EQ(dev_uc_sync(lower, upper), 0);
    EXPECT_EQ(reports.rules(), "not-held");
    reports.all.clear();
  }
  netif_addr_lock_bh(upper);
  EXPECT_EQ(dev_uc_sync(lower, upper), 0);
  netif_addr_unlock_bh(upper);
  netif_addr_lock_bh(lower);
  EXPECT_EQ(dev_uc_sync(upper, lower), 0);
  netif_addr_unlock_bh(lower);
  ASSERT_EQ(reports.rules(), "sync-refused");
  EXPECT_EQ(reports.all[0].text, "up0 cannot be synced from eth0: ELOOP");
}

TEST_F(KernelStack, FlagsAndCountsAreReadUnderTheLock) {
  ASSERT_EQ(dev_set_promiscuity(lower, 1), 0);
  ASSERT_EQ(dev_uc_add(lower, uc(1)), 0);
  netif_addr_lock_bh(lower);
  EXPECT_EQ(netif_get_flags(lower) & (IFF_UP | IFF_PROMISC | IFF_ALLMULTI), IFF_UP | IFF_PROMISC);
  EXPECT_EQ(netdev_uc_count(lower), 1u);
  netif_addr_unlock_bh(lower);
  ASSERT_EQ(dev_set_promiscuity(lower, 1), 0);
  ASSERT_EQ(dev_set_promiscuity(lower, -1), 0);
  EXPECT_NE(netif_get_flags(lower) & IFF_PROMISC, 0u) << "one is left";
  ASSERT_EQ(dev_set_promiscuity(lower, -1), 0);
  ASSERT_EQ(dev_set_allmulti(lower, 1), 0);
  EXPECT_EQ(netif_get_flags(lower) & (IFF_PROMISC | IFF_ALLMULTI), IFF_ALLMULTI);
}

TEST_F(KernelStack, PromiscuityIsCountedByMoreThanOne) {
  EXPECT_EQ(dev_set_promiscuity(lower, 3), 0);
  EXPECT_EQ(dev_set_promiscuity(lower, -4), -EINVAL);
  EXPECT_EQ(dev_set_promiscuity(lower, -2), 0);
  EXPECT_NE(netif_get_flags(lower) & IFF_PROMISC, 0u) << "the one that failed took nothing";
  EXPECT_EQ(dev_set_promiscuity(lower, -1), 0);
  EXPECT_EQ(netif_get_flags(lower) & IFF_PROMISC, 0u);
  EXPECT_EQ(dev_set_allmulti(lower, -1), -EINVAL);
}

TEST_F(KernelStack, ManyChangersAndAClosingUpperLeaveNothingBehind) {
  {
    std::vector<Thread> changers;
    for (uint64_t who = 1; who <= 3; ++who) {
      changers.emplace_back("changer", [this, who] {
        for (uint64_t n = 0; n < 300; ++n) {
          EXPECT_EQ(dev_uc_add(upper, uc(who << 16 | n)), 0);
          EXPECT_EQ(dev_mc_add(upper, mc(n)), 0);
          if (n % 3 != 0) {
            EXPECT_EQ(dev_uc_del(upper, uc(who << 16 | n)), 0);
          }
          EXPECT_EQ(dev_mc_del(upper, mc(n)), 0);
        }
      });
    }
    for (int i = 0; i < 5; ++i) {
      dev_close(upper);
      EXPECT_EQ(dev_open(upper), 0);
    }
  }
  settle(upper);
  EXPECT_EQ(lower->uc().snapshot(), upper->uc().snapshot());
  EXPECT_EQ(netdev_uc_count(lower), 300u);
  EXPECT_TRUE(netdev_mc_empty(lower));
  dev_close(upper);
  EXPECT_TRUE(netdev_uc_empty(lower));
}

}  // namespace
}  // namespace usernic::kernel_stack_test
