// SPDX-License-Identifier: Apache-2.0 OR MIT
// Keeping everybody out of ndo_start_xmit, in kernel style.
#include <gtest/gtest.h>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/port.h"
#include "usernic/thread.h"

namespace usernic::kernel_tx_lock_test {
namespace {

using namespace usernic::kernel;

struct nic_priv {
  Event *entered, *go_on;  // NULL: it sends at once
};
nic_priv* priv_of(struct net_device* dev) {
  return static_cast<nic_priv*>(netdev_priv(dev));
}
int nic_open(struct net_device* dev) {
  netif_tx_start_all_queues(dev);
  return 0;
}
int nic_stop(struct net_device*) {
  return 0;
}
netdev_tx_t nic_xmit(struct sk_buff* skb, struct net_device* dev) {
  const BlockingByDesign a_test_may;
  if (const nic_priv& priv = *priv_of(dev); priv.entered != nullptr) {
    priv.entered->set();
    priv.go_on->wait();
  }
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
constexpr struct net_device_ops nic_ops = {.ndo_open = nic_open, .ndo_stop = nic_stop, .ndo_start_xmit = nic_xmit};

struct CountingPort final : DevicePort {
  Event woken[2];
  void receive(SkbBatch&) noexcept override {}
  void tx_wake(TxQueue& queue) noexcept override { woken[queue.index()].set(); }
  void carrier_changed(bool) noexcept override {}
};

struct KernelTxLock : testing::Test {
  Net net;
  init_net_is here{net};
  SkbPool pool{64, 64};
  CountingPort port;
  struct net_device* dev = alloc_etherdev_mqs<&nic_ops>(sizeof(nic_priv), 2, 1);
  Event entered, go_on, locked;

  void SetUp() override {
    ASSERT_EQ(register_netdev(dev), 0);
    ASSERT_TRUE(dev->attach_port(port));
    ASSERT_EQ(dev_open(dev), 0);
  }
  void TearDown() override {
    dev->detach_port();
    unregister_netdev(dev);
    free_netdev(dev);
  }
  // How many of one frame were sent.
  uint32_t send(u16 queue) {
    SkbBatch frames;
    Skb& skb = *pool.alloc();
    (void)skb.put(10);
    frames.push_back(skb);
    const uint32_t sent = dev->xmit(dev->tx_queue(queue), frames);
    SkbPool::free(frames);
    return sent;
  }
  static Context bh() { return kChecksOn ? Context::kBhDisabled : Context::kProcess; }
};

TEST_F(KernelTxLock, FrozenQueuesSendNothingAndThePortIsToldWhenTheyAreNot) {
  netif_tx_stop_queue(netdev_get_tx_queue(dev, 1));
  netif_tx_lock(dev);
  EXPECT_EQ(current_context(), bh());
  Thread sends("sends", [&] {
    EXPECT_EQ(send(0), 0u);
    netif_tx_wake_queue(netdev_get_tx_queue(dev, 0));
    EXPECT_EQ(send(0), 0u) << "frozen is not stopped, and no wake ends it";
  });
  sends.join();
  EXPECT_EQ(port.woken[0].count(), 1u);
  netif_tx_unlock(dev);
  EXPECT_EQ(current_context(), Context::kProcess);
  EXPECT_EQ(port.woken[0].count(), 2u);
  EXPECT_EQ(port.woken[1].count(), 1u) << "stopped as it is: a sleeper looks for himself";
  EXPECT_EQ(send(0), 1u);
  struct rtnl_link_stats64 stats;
  EXPECT_EQ(dev_get_stats(dev, &stats)->tx_dropped, 0u);
}

TEST_F(KernelTxLock, LockingWaitsForWhoIsInStartXmitOnAnyQueueAndForWhoHasIt) {
  *priv_of(dev) = {.entered = &entered, .go_on = &go_on};
  Thread sends("sends", [&] { EXPECT_EQ(send(1), 1u); });
  ASSERT_TRUE(entered.wait());
  Thread locks("locks", [&] {
    netif_tx_lock_bh(dev);
    locked.set();
    netif_tx_unlock_bh(dev);
  });
  EXPECT_TRUE(locked.stays_away());
  go_on.set();
  EXPECT_TRUE(locked.wait());
  sends.join();
  locks.join();
  netif_tx_lock_bh(dev);
  Thread second("second", [&] {
    netif_tx_lock_bh(dev);
    locked.set();
    netif_tx_unlock_bh(dev);
  });
  EXPECT_FALSE(locked.wait(2, kMoment));
  netif_tx_unlock_bh(dev);
  EXPECT_TRUE(locked.wait(2));
}

TEST_F(KernelTxLock, OneQueuesLockKeepsTheOthersGoing) {
  struct netdev_queue* const queue = netdev_get_tx_queue(dev, 1);
  __netif_tx_lock_bh(queue);
  EXPECT_EQ(current_context(), bh());
  Event sent;
  Thread sends("sends", [&] {
    EXPECT_FALSE(__netif_tx_trylock(queue));
    EXPECT_EQ(current_context(), Context::kProcess);
    EXPECT_EQ(send(0), 1u);
    EXPECT_EQ(send(1), 1u);
    sent.set();
  });
  EXPECT_TRUE(sent.stays_away());
  __netif_tx_unlock_bh(queue);
  EXPECT_TRUE(sent.wait());
  ASSERT_TRUE(__netif_tx_trylock(queue));
  EXPECT_EQ(current_context(), bh());
  __netif_tx_unlock(queue);
  __netif_tx_lock(queue, 0);
  __netif_tx_unlock(queue);
  EXPECT_EQ(current_context(), Context::kProcess);
}

TEST_F(KernelTxLock, DisableStopsAllOnceNobodyIsInStartXmit) {
  *priv_of(dev) = {.entered = &entered, .go_on = &go_on};
  Thread sends("sends", [&] { EXPECT_EQ(send(1), 1u); });
  ASSERT_TRUE(entered.wait());
  Thread disables("disables", [&] {
    netif_tx_disable(dev);
    locked.set();
  });
  EXPECT_TRUE(locked.stays_away());
  go_on.set();
  EXPECT_TRUE(locked.wait());
  EXPECT_TRUE(netif_tx_queue_stopped(netdev_get_tx_queue(dev, 0)));
  EXPECT_TRUE(netif_tx_queue_stopped(netdev_get_tx_queue(dev, 1)));
}

}  // namespace
}  // namespace usernic::kernel_tx_lock_test
