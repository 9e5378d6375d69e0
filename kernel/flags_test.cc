// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device's flags in kernel style: the user's references on promiscuity and allmulti among all.
#include <gtest/gtest.h>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic::kernel_flags_test {
namespace {

using namespace usernic::kernel;

struct nic_priv {
  int open_error, opens, stops;
};
nic_priv* priv_of(struct net_device* dev) {
  return static_cast<nic_priv*>(netdev_priv(dev));
}
int nic_open(struct net_device* dev) {
  ++priv_of(dev)->opens;
  return priv_of(dev)->open_error;
}
int nic_stop(struct net_device* dev) {
  ++priv_of(dev)->stops;
  return 0;
}
netdev_tx_t nic_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
constexpr struct net_device_ops nic_ops = {.ndo_open = nic_open, .ndo_stop = nic_stop, .ndo_start_xmit = nic_xmit};

constexpr unsigned kBase = IFF_BROADCAST | IFF_MULTICAST, kBoth = IFF_PROMISC | IFF_ALLMULTI;

struct KernelFlags : testing::Test {
  Net net;
  init_net_is here{net};
  struct net_device* dev = alloc_etherdev<&nic_ops>(sizeof(nic_priv));

  void SetUp() override { ASSERT_EQ(register_netdev(dev), 0); }
  void TearDown() override {
    unregister_netdev(dev);
    free_netdev(dev);
  }
  unsigned rx_flags() { return netif_get_flags(dev) & kBoth; }
  uint32_t promiscuity() { return dev->rx_mode().status().promiscuity; }
  uint32_t allmulti() { return dev->rx_mode().status().allmulti; }
};

TEST_F(KernelFlags, UpAndDownAreOpenAndClose) {
  EXPECT_EQ(dev_get_flags(dev), kBase);
  EXPECT_EQ(dev_change_flags(dev, IFF_UP), 0);
  EXPECT_EQ(dev_get_flags(dev), kBase | IFF_UP | IFF_RUNNING | IFF_LOWER_UP);
  EXPECT_EQ(dev_change_flags(dev, dev_get_flags(dev), nullptr), 0);
  EXPECT_EQ(priv_of(dev)->opens, 1) << "it is open";
  netif_carrier_off(dev);
  EXPECT_EQ(dev_get_flags(dev), kBase | IFF_UP);
  EXPECT_EQ(dev_change_flags(dev, dev_get_flags(dev) & ~IFF_UP), 0);
  EXPECT_EQ(dev_change_flags(dev, 0), 0);
  EXPECT_FALSE(netif_running(dev));
  EXPECT_EQ(priv_of(dev)->stops, 1);
}

TEST_F(KernelFlags, TheUsersReferenceIsOneHoweverOftenItIsSaid) {
  for (int i = 0; i < 2; ++i) EXPECT_EQ(dev_change_flags(dev, IFF_PROMISC), 0);
  EXPECT_EQ(promiscuity(), 1u);
  EXPECT_EQ(allmulti(), 0u);
  EXPECT_EQ(rx_flags(), IFF_PROMISC);
  EXPECT_EQ(dev_change_flags(dev, IFF_ALLMULTI), 0);
  EXPECT_EQ(promiscuity(), 0u);
  EXPECT_EQ(allmulti(), 1u);
  EXPECT_EQ(rx_flags(), IFF_ALLMULTI);
  EXPECT_EQ(dev_change_flags(dev, 0), 0);
  EXPECT_EQ(allmulti(), 0u);
  EXPECT_FALSE(netif_running(dev)) << "nobody asked for that";
}

TEST_F(KernelFlags, OthersReferencesAreNoneOfTheUsersAndNotShownToHim) {
  ASSERT_EQ(dev_set_promiscuity(dev, 2), 0);
  EXPECT_EQ(dev_get_flags(dev) & kBoth, 0u);
  EXPECT_EQ(rx_flags(), IFF_PROMISC);
  EXPECT_EQ(dev_change_flags(dev, 0), 0);
  EXPECT_EQ(promiscuity(), 2u) << "there was none of his";
  EXPECT_EQ(dev_change_flags(dev, kBoth), 0);
  EXPECT_EQ(dev_get_flags(dev) & kBoth, kBoth);
  EXPECT_EQ(promiscuity(), 3u);
  ASSERT_EQ(netif_set_promiscuity(dev, -2), 0);
  EXPECT_EQ(dev_set_promiscuity(dev, -1), -EINVAL) << "what is left is the user's";
  EXPECT_EQ(rx_flags(), kBoth);
  EXPECT_EQ(netif_set_allmulti(dev, -1, true), -EINVAL);
  EXPECT_EQ(netif_set_allmulti(dev, 1, false), 0);
  EXPECT_EQ(dev_change_flags(dev, 0), 0);
  EXPECT_EQ(rx_flags(), IFF_ALLMULTI) << "somebody else's";
  EXPECT_EQ(netif_set_allmulti(dev, -1, false), 0);
  EXPECT_EQ(rx_flags(), 0u);
}

TEST_F(KernelFlags, AFailedOpenIsReturnedAndTheRestIsDone) {
  priv_of(dev)->open_error = -EIO;
  EXPECT_EQ(dev_change_flags(dev, IFF_UP | IFF_PROMISC), -EIO);
  EXPECT_FALSE(netif_running(dev));
  EXPECT_EQ(dev_get_flags(dev), kBase | IFF_PROMISC);
  netif_device_detach(dev);
  EXPECT_EQ(dev_change_flags(dev, IFF_UP), -ENODEV) << "it is absent";
  EXPECT_EQ(promiscuity(), 0u);
  EXPECT_EQ(dev_change_flags(dev, 0), 0) << "IFF_UP does not change";
}

TEST_F(KernelFlags, OfAnAbsentDeviceThatIsUpTheRestCanBeChanged) {
  ASSERT_EQ(dev_open(dev), 0);
  netif_device_detach(dev);
  EXPECT_EQ(dev_change_flags(dev, IFF_UP | IFF_ALLMULTI), 0);
  EXPECT_EQ(dev_get_flags(dev) & (IFF_UP | kBoth), IFF_UP | IFF_ALLMULTI);
}

TEST_F(KernelFlags, UnderRtnlItIsAReportAndNothingChanges) {
  Reports reports;
  rtnl_lock();
  EXPECT_EQ(dev_change_flags(dev, IFF_UP | IFF_PROMISC), -EDEADLK);
  rtnl_unlock();
  ASSERT_EQ(reports.rules(), "wait-under-rtnl");
  EXPECT_TRUE(reports.all[0].text.starts_with("dev_change_flags is called under rtnl"));
  EXPECT_TRUE(std::string(reports.all[0].here.file_name()).ends_with("kernel/flags_test.cc"));
  EXPECT_EQ(dev_get_flags(dev), kBase);
}

TEST_F(KernelFlags, TheListsStandStillUnderTheNestedLockToo) {
  netif_addr_lock_nested(dev);
  EXPECT_EQ(current_context(), kChecksOn ? Context::kBhDisabled : Context::kProcess);
  EXPECT_EQ(netif_get_flags(dev), kBase);
  Event changed;
  Thread other("other", [&] {
    EXPECT_EQ(dev_set_promiscuity(dev, 1), 0);
    changed.set();
  });
  EXPECT_TRUE(changed.stays_away());
  netif_addr_unlock(dev);
  EXPECT_TRUE(changed.wait());
}

}  // namespace
}  // namespace usernic::kernel_flags_test
