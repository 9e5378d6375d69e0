// SPDX-License-Identifier: Apache-2.0 OR MIT
// A file in kernel style: it compiles against kernel/names.h, and sees what kernel code would see.
#include "kernel/names.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic::kernel_names_test {
namespace {

using namespace usernic::kernel;

// ---- a driver whose rx mode sleeps ----------------------------------------------------------------------------------

struct card_priv {
  struct net_device* dev;
  struct napi_struct napi;
  struct work_struct reset_work;
  struct delayed_work poll_work;
  std::set<int> filter;  // last octets
  std::string log;
  int refuse = 0;  // an octet
  int resets = 0, polls = 0, napi_polls = 0, rx_calls = 0, retries_to_ask = 0;
  unsigned flags = 0;
  Event reset_ran, poll_ran, rx_ran;
};

card_priv* priv_of(struct net_device* dev) {
  return *static_cast<card_priv**>(netdev_priv(dev));
}

int card_sync(struct net_device* dev, const unsigned char* addr) {
  card_priv* priv = priv_of(dev);
  priv->log += "+" + std::to_string(addr[5]) + " ";
  if (addr[5] == priv->refuse) return -EIO;
  priv->filter.insert(addr[5]);
  return 0;
}

int card_unsync(struct net_device* dev, const unsigned char* addr) {
  card_priv* priv = priv_of(dev);
  priv->log += "-" + std::to_string(addr[5]) + " ";
  priv->filter.erase(addr[5]);
  return 0;
}

int card_open(struct net_device* dev) {
  napi_enable(&priv_of(dev)->napi);
  netif_start_queue(dev);
  return 0;
}

int card_stop(struct net_device* dev) {
  netif_stop_queue(dev);
  napi_disable(&priv_of(dev)->napi);
  __dev_uc_unsync(dev, card_unsync);
  __dev_mc_unsync(dev, card_unsync);
  return 0;
}

netdev_tx_t card_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}

int card_set_rx_mode_async(struct net_device* dev, struct netdev_hw_addr_list* uc, struct netdev_hw_addr_list* mc) {
  card_priv* priv = priv_of(dev);
  ++priv->rx_calls;
  priv->flags = netif_get_flags(dev);
  if (priv->retries_to_ask > 0) {
    --priv->retries_to_ask;
    netif_rx_mode_schedule_retry(dev);
  }
  const int err = __hw_addr_sync_dev(uc, dev, card_sync, card_unsync);
  const int mc_err = __hw_addr_sync_dev(mc, dev, card_sync, card_unsync);
  priv->rx_ran.set();
  return err ? err : mc_err;
}

int card_poll(struct napi_struct* napi, int) {
  card_priv* priv = container_of(napi, card_priv, napi);
  ++priv->napi_polls;
  napi_complete_done(napi, 0);
  return 0;
}

void card_reset(struct work_struct* work) {
  card_priv* priv = container_of(work, card_priv, reset_work);
  EXPECT_EQ(kernel::current_work(), work);
  ++priv->resets;
  priv->reset_ran.set();
}

void card_poll_link(struct work_struct* work) {
  EXPECT_EQ(container_of(to_delayed_work(work), struct card_priv, poll_work),
            container_of(work, struct card_priv, poll_work.work));
  card_priv* priv = container_of(to_delayed_work(work), card_priv, poll_work);
  ++priv->polls;
  priv->poll_ran.set();
}

static constexpr struct net_device_ops card_ops = {
    .ndo_open = card_open,
    .ndo_stop = card_stop,
    .ndo_start_xmit = card_xmit,
    .ndo_set_rx_mode_async = card_set_rx_mode_async,
};

void address(unsigned char* addr, unsigned char last) {
  const unsigned char octets[ETH_ALEN] = {2, 0, 0, 0, 0, last};
  memcpy(addr, octets, ETH_ALEN);
}

struct KernelNames : testing::Test {
  Net net;
  init_net_is here{net};
  card_priv priv;
  struct net_device* dev = nullptr;
  unsigned char addr[ETH_ALEN];

  void SetUp() override {
    dev = alloc_netdev_mqs<&card_ops>(sizeof(card_priv*), "nic%d", NET_NAME_ENUM, ether_setup, 2, 1);
    ASSERT_NE(dev, nullptr);
    netdev_add_priv_flags(dev, IFF_UNICAST_FLT);
    *static_cast<card_priv**>(netdev_priv(dev)) = &priv;
    priv.dev = dev;
    netif_napi_add(dev, &priv.napi, card_poll);
    INIT_WORK(&priv.reset_work, card_reset);
    INIT_DELAYED_WORK(&priv.poll_work, card_poll_link);
    ASSERT_EQ(register_netdev(dev), 0);
  }
  void TearDown() override {
    cancel_work_sync(&priv.reset_work);
    cancel_delayed_work_sync(&priv.poll_work);
    unregister_netdev(dev);
    netif_napi_del(&priv.napi);
    free_netdev(dev);
  }
  void settle() { ASSERT_TRUE(dev->rx_mode().settle(soon())); }
};

// ---- devices --------------------------------------------------------------------------------------------------------

TEST_F(KernelNames, AllocRefusesWhatIsNoDevice) {
  EXPECT_EQ((alloc_netdev_mqs<&card_ops>(8, "a", NET_NAME_USER, ether_setup, 0, 1)), nullptr);
  EXPECT_EQ((alloc_netdev_mqs<&card_ops>(8, "a", NET_NAME_USER, ether_setup, 1, 0)), nullptr);
  EXPECT_EQ((alloc_netdev_mqs<&card_ops>(8, "a/b", NET_NAME_USER, ether_setup, 1, 1)), nullptr);
  struct net_device* other = alloc_etherdev<&card_ops>(64);
  ASSERT_NE(other, nullptr);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(static_cast<char*>(netdev_priv(other))[i], 0);
  free_netdev(other);
}

TEST_F(KernelNames, AFreedRegisteredDeviceIsAReport) {
  struct net_device* other = alloc_etherdev<&card_ops>(8);
  ASSERT_EQ(register_netdev(other), 0);
  Reports reports;
  free_netdev(other);
  EXPECT_EQ(reports.rules(), "free-registered");
}

TEST_F(KernelNames, ReferencesAreCountedAndUnregisterNamesThem) {
  netdevice_tracker tracker;
  dev_hold(dev);
  netdev_hold(dev, &tracker, GFP_KERNEL);
  EXPECT_EQ(dev->ref_holders().size(), 2u);
  dev_put(dev);
  netdev_put(dev, &tracker);
  EXPECT_TRUE(dev->ref_holders().empty());
  Reports reports;
  dev_put(dev);
  EXPECT_EQ(reports.rules(), "ref-underflow");
  struct net_device* found = dev_get_by_name(&net, "nic0");
  EXPECT_EQ(found, dev);
  dev_put(found);
  EXPECT_EQ(dev_get_by_name(&net, "gone"), nullptr);
}

TEST_F(KernelNames, UnregisterWaitsForADevHold) {
  Event gone;
  struct net_device* other = alloc_etherdev<&card_ops>(8);
  ASSERT_EQ(register_netdev(other), 0);
  dev_hold(other);
  {
    Thread remover("remover", [&] {
      unregister_netdev(other);
      gone.set();
    });
    EXPECT_TRUE(gone.stays_away());
    dev_put(other);
    EXPECT_TRUE(gone.wait());
  }
  free_netdev(other);
}

TEST_F(KernelNames, FlagsAndMtu) {
  EXPECT_EQ(netif_get_flags(dev) & (IFF_UP | IFF_PROMISC), 0u);
  EXPECT_EQ(dev_open(dev, NULL), 0);
  EXPECT_EQ(dev_set_promiscuity(dev, 1), 0);
  EXPECT_EQ(netif_get_flags(dev) & (IFF_UP | IFF_PROMISC | IFF_ALLMULTI), IFF_UP | IFF_PROMISC);
  EXPECT_EQ(dev_set_promiscuity(dev, -1), 0);
  EXPECT_EQ(dev_set_allmulti(dev, -1), -EINVAL);
  EXPECT_EQ(dev_set_mtu(dev, -1), -EINVAL);
  EXPECT_EQ(dev_set_mtu(dev, 1400), 0);
  EXPECT_EQ(dev_change_carrier(dev, false), -EOPNOTSUPP) << "the table has no such op";
}

// ---- address lists --------------------------------------------------------------------------------------------------

TEST_F(KernelNames, FilterListsCountReferencesAndReturnTheKernelsErrors) {
  const unsigned char group[ETH_ALEN] = {1, 0, 0x5e, 0, 0, 1};
  address(addr, 1);
  EXPECT_EQ(dev_uc_add(dev, addr), 0);
  EXPECT_EQ(dev_uc_add(dev, addr), 0);
  EXPECT_EQ(netdev_uc_count(dev), 1u);
  EXPECT_EQ(dev_uc_add_excl(dev, addr), -EEXIST);
  EXPECT_EQ(dev_uc_del(dev, addr), 0);
  EXPECT_EQ(dev_uc_del(dev, addr), 0);
  EXPECT_EQ(dev_uc_del(dev, addr), -ENOENT);
  EXPECT_EQ(dev_uc_add_excl(dev, addr), 0);
  EXPECT_EQ(dev_mc_del_global(dev, group), -ENOENT);
  EXPECT_EQ(dev_mc_add_global(dev, group), 0);
  EXPECT_EQ(dev_mc_add_global(dev, group), 0);
  EXPECT_EQ(dev_mc_del_global(dev, group), 0);
  EXPECT_EQ(dev_mc_del_global(dev, group), -ENOENT);
  EXPECT_TRUE(netdev_mc_empty(dev));
  dev_uc_flush(dev);
  EXPECT_TRUE(netdev_uc_empty(dev));
}

TEST_F(KernelNames, AnExclusiveReferenceIsTheGlobalOneAndDelTakesItLast) {
  const unsigned char group[ETH_ALEN] = {1, 0, 0x5e, 0, 0, 1};
  EXPECT_EQ(dev_mc_add_excl(dev, group), 0);
  EXPECT_EQ(dev_mc_del_global(dev, group), 0);
  EXPECT_EQ(dev_mc_add_excl(dev, group), 0);
  EXPECT_EQ(dev_mc_add_global(dev, group), 0) << "counts once";
  EXPECT_EQ(dev_mc_del(dev, group), 0);
  EXPECT_TRUE(netdev_mc_empty(dev));
  EXPECT_EQ(dev_mc_add_global(dev, group), 0);
  EXPECT_EQ(dev_mc_add(dev, group), 0);
  EXPECT_EQ(dev_mc_del(dev, group), 0);
  EXPECT_EQ(dev_mc_del_global(dev, group), 0);
  EXPECT_EQ(dev_mc_add_global(dev, group), 0);
  EXPECT_EQ(dev_mc_del(dev, group), 0);
  EXPECT_EQ(dev_mc_del(dev, group), -ENOENT);
}

TEST_F(KernelNames, ForEachWalksUnderTheLock) {
  for (unsigned char n = 1; n <= 3; ++n) {
    address(addr, n);
    ASSERT_EQ(dev_uc_add(dev, addr), 0);
  }
  ASSERT_EQ(dev_uc_add(dev, addr), 0);
  struct netdev_hw_addr* ha;
  std::string seen;
  netif_addr_lock_bh(dev);
  netdev_for_each_uc_addr(ha, dev) {
    seen += std::to_string(ha->addr[5]) + "x" + std::to_string(ha->refcount) + " ";
  }
  netdev_for_each_mc_addr(ha, dev) {
    seen += "never";
  }
  netif_addr_unlock_bh(dev);
  EXPECT_EQ(seen, "1x1 2x1 3x2 ");
  if (!kChecksOn) return;
  Reports reports;
  netdev_for_each_uc_addr(ha, dev) {
    break;
  }
  EXPECT_EQ(reports.rules(), "not-held") << "without netif_addr_lock";
}

TEST_F(KernelNames, DevUcSyncPushesTakesBackAndReturnsTheFirstError) {
  for (unsigned char n = 1; n <= 3; ++n) {
    address(addr, n);
    ASSERT_EQ(dev_uc_add(dev, addr), 0);
  }
  priv.refuse = 2;
  EXPECT_EQ(__dev_uc_sync(dev, card_sync, card_unsync), -EIO);
  EXPECT_EQ(priv.log, "+1 +2 ");
  priv.refuse = 0;
  EXPECT_EQ(__dev_uc_sync(dev, card_sync, card_unsync), 0);
  EXPECT_EQ(priv.log, "+1 +2 +2 +3 ");
  struct netdev_hw_addr* ha;
  int evaluated = 0;
  netdev_hw_addr_list_for_each(ha, (++evaluated, netdev_uc(dev))) {
    EXPECT_EQ(ha->sync_cnt, 1);
    EXPECT_EQ(ha->refcount, 2);
  }
  EXPECT_EQ(evaluated, 1);
  address(addr, 1);
  ASSERT_EQ(dev_uc_del(dev, addr), 0);
  priv.log.clear();
  EXPECT_EQ(__dev_uc_sync(dev, card_sync, card_unsync), 0);
  EXPECT_EQ(priv.log, "-1 ");
  __dev_uc_unsync(dev, card_unsync);
  EXPECT_EQ(priv.log, "-1 -2 -3 ");
  EXPECT_EQ(__dev_uc_sync(dev, card_sync, NULL), 0);
  __dev_uc_unsync(dev, NULL);
  EXPECT_EQ(priv.log, "-1 -2 -3 +2 +3 ") << "the counts alone";
}

int card_ref_sync(struct net_device* dev, const unsigned char* addr, int refs) {
  priv_of(dev)->log += "+" + std::to_string(addr[5]) + "x" + std::to_string(refs) + " ";
  return 0;
}
int card_ref_unsync(struct net_device* dev, const unsigned char* addr, int refs) {
  priv_of(dev)->log += "-" + std::to_string(addr[5]) + "x" + std::to_string(refs) + " ";
  return 0;
}

TEST_F(KernelNames, RefSyncTellsTheReferences) {
  struct netdev_hw_addr_list list;
  address(addr, 1);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(__hw_addr_add(&list, addr, ETH_ALEN, NETDEV_HW_ADDR_T_UNICAST), 0);
  EXPECT_EQ(__hw_addr_ref_sync_dev(&list, dev, card_ref_sync, card_ref_unsync), 0);
  __hw_addr_ref_unsync_dev(&list, dev, card_ref_unsync);
  EXPECT_EQ(priv.log, "+1x2 -1x2 ");
  EXPECT_EQ(__hw_addr_ref_sync_dev(&list, dev, card_ref_sync, NULL), 0);
  __hw_addr_ref_unsync_dev(&list, dev, NULL);
  EXPECT_EQ(list.first()->sync_cnt, 0);
}

TEST_F(KernelNames, ASnapshotThatTheDriverPushedIsReconciledAlthoughTheAddressWentMeanwhile) {
  struct netdev_hw_addr_list real, snap, ref;
  __hw_addr_init(&real);
  address(addr, 5);
  ASSERT_EQ(__hw_addr_add(&real, addr, ETH_ALEN, NETDEV_HW_ADDR_T_UNICAST), 0);
  ASSERT_EQ(__hw_addr_list_snapshot(&snap, &real, ETH_ALEN), 0);
  ASSERT_EQ(__hw_addr_list_snapshot(&ref, &real, ETH_ALEN), 0);
  EXPECT_EQ(__hw_addr_sync_dev(&snap, dev, card_sync, card_unsync), 0);
  ASSERT_EQ(__hw_addr_del(&real, addr, ETH_ALEN, NETDEV_HW_ADDR_T_UNICAST), 0);
  __hw_addr_list_reconcile(&real, &snap, &ref, ETH_ALEN);
  ASSERT_EQ(netdev_hw_addr_list_count(&real), 1);
  EXPECT_EQ(real.first()->sync_cnt, 1);
  EXPECT_EQ(real.first()->refcount, 1);
  EXPECT_EQ(__hw_addr_sync_dev(&real, dev, card_sync, card_unsync), 0);
  EXPECT_TRUE(netdev_hw_addr_list_empty(&real));
  EXPECT_EQ(priv.log, "+5 -5 ");
}

TEST_F(KernelNames, PrivateListsSyncToEachOther) {
  struct netdev_hw_addr_list from, to;
  address(addr, 1);
  ASSERT_EQ(__hw_addr_add(&from, addr, ETH_ALEN, NETDEV_HW_ADDR_T_MULTICAST), 0);
  EXPECT_EQ(__hw_addr_sync(&to, &from, ETH_ALEN), 0);
  EXPECT_EQ(__hw_addr_sync_multiple(&to, &from, MAX_ADDR_LEN), 0);
  EXPECT_EQ(to.first()->synced, 1);
  __hw_addr_unsync(&to, &from, ETH_ALEN);
  EXPECT_TRUE(netdev_hw_addr_list_empty(&to));
  EXPECT_EQ(__hw_addr_add(&from, addr, MAX_ADDR_LEN + 1, NETDEV_HW_ADDR_T_LAN), -EINVAL);
}

TEST_F(KernelNames, OwnAddresses) {
  rtnl_lock();
  ASSERT_RTNL();
  address(addr, 7);
  eth_hw_addr_set(dev, addr);
  EXPECT_EQ(memcmp(netdev_dev_addr(dev), addr, ETH_ALEN), 0);
  EXPECT_EQ(dev_addr_del(dev, addr, NETDEV_HW_ADDR_T_LAN), -ENOENT);
  EXPECT_EQ(dev_addr_add(dev, addr, NETDEV_HW_ADDR_T_LAN), 0);
  EXPECT_EQ(dev_addr_del(dev, addr, NETDEV_HW_ADDR_T_LAN), 0);
  address(addr, 8);
  EXPECT_EQ(dev_addr_add(dev, addr, NETDEV_HW_ADDR_T_SAN), 0);
  EXPECT_EQ(__hw_addr_sync_dev(netdev_dev_addrs(dev), dev, card_sync, card_unsync), 0);
  EXPECT_EQ(priv.log, "+7 +8 ");
  dev_addr_mod(dev, 5, "\x09", 1);
  EXPECT_EQ(dev->address().octets[5], 9);
  EXPECT_EQ(__hw_addr_sync_dev(netdev_dev_addrs(dev), dev, card_sync, card_unsync), 0);
  EXPECT_EQ(priv.log, "+7 +8 ") << "changed in place: counts as pushed";
  dev_addr_check(dev);
  rtnl_unlock();
}

// ---- rx mode --------------------------------------------------------------------------------------------------------

TEST_F(KernelNames, TheAsyncOpPushesAndStopTakesBack) {
  ASSERT_EQ(dev_open(dev), 0);
  address(addr, 1);
  ASSERT_EQ(dev_uc_add(dev, addr), 0);
  ASSERT_EQ(dev_set_promiscuity(dev, 1), 0);
  settle();
  EXPECT_EQ(priv.filter, std::set<int>{1});
  EXPECT_NE(priv.flags & IFF_PROMISC, 0u);
  dev_close(dev);
  EXPECT_TRUE(priv.filter.empty()) << "__dev_uc_unsync in ndo_stop";
  ASSERT_EQ(dev_open(dev), 0);
  settle();
  EXPECT_EQ(priv.filter, std::set<int>{1});
}

TEST_F(KernelNames, SetRxModeCallsTheDriverAlthoughNothingChangedAndSyncWaitsForIt) {
  ASSERT_EQ(dev_open(dev), 0);
  settle();
  netif_rx_mode_sync(dev);
  const int calls = priv.rx_calls;
  dev_set_rx_mode(dev);
  netif_rx_mode_sync(dev);
  EXPECT_EQ(priv.rx_calls, calls + 1);
}

TEST_F(KernelNames, AScheduledRetryCallsTheDriverAgainAndRunDoesNotWaitForIt) {
  priv.retries_to_ask = 9;
  ASSERT_EQ(dev_open(dev), 0);
  EXPECT_TRUE(priv.rx_ran.wait(1));
  const Time deadline = soon();  // the retries by themselves take twice as long: 1, 2, 4 .. 60, 60, 60 s
  for (uint32_t calls = 1; calls <= 9; ++calls) {
    EXPECT_EQ(priv.rx_calls, static_cast<int>(calls));
    netif_rx_mode_run(dev);
    ASSERT_TRUE(priv.rx_ran.wait(calls + 1, deadline - Clock::now()));
  }
  netif_rx_mode_cancel_retry(dev);
}

// ---- work -----------------------------------------------------------------------------------------------------------

TEST_F(KernelNames, WorkIsQueuedOnceFlushedAndCanceled) {
  EXPECT_FALSE(flush_work(&priv.reset_work)) << "idle";
  EXPECT_TRUE(schedule_work(&priv.reset_work));
  EXPECT_TRUE(priv.reset_ran.wait());
  (void)flush_work(&priv.reset_work);
  EXPECT_EQ(priv.resets, 1);
  EXPECT_FALSE(cancel_work_sync(&priv.reset_work));
  EXPECT_EQ(kernel::current_work(), nullptr);
}

TEST_F(KernelNames, DisabledWorkIsRefusedUntilAsManyEnables) {
  EXPECT_FALSE(disable_work(&priv.reset_work));
  EXPECT_FALSE(disable_work_sync(&priv.reset_work));
  EXPECT_FALSE(schedule_work(&priv.reset_work));
  EXPECT_FALSE(enable_work(&priv.reset_work));
  EXPECT_FALSE(schedule_work(&priv.reset_work));
  EXPECT_TRUE(enable_work(&priv.reset_work));
  EXPECT_TRUE(schedule_work(&priv.reset_work));
  EXPECT_TRUE(priv.reset_ran.wait());
  Reports reports;
  EXPECT_FALSE(enable_work(&priv.reset_work));
  EXPECT_EQ(reports.rules(), "work-enabled-twice");
  EXPECT_FALSE(disable_work_sync(&priv.reset_work));
  EXPECT_FALSE(schedule_work(&priv.reset_work)) << "one disable counts";
}

TEST_F(KernelNames, DelayedWorkWaitsCanBeMovedBothWaysAndFlushedAtOnce) {
  const unsigned long hour = msecs_to_jiffies(3'600'000);
  EXPECT_TRUE(schedule_delayed_work(&priv.poll_work, hour));
  EXPECT_FALSE(schedule_delayed_work(&priv.poll_work, 0)) << "pending: neither again nor sooner";
  EXPECT_TRUE(delayed_work_pending(&priv.poll_work));
  EXPECT_TRUE(priv.poll_ran.stays_away());
  workqueue_struct* queue = alloc_workqueue("poll%d", WQ_UNBOUND, 0, 1);
  EXPECT_TRUE(cancel_delayed_work(&priv.poll_work));
  EXPECT_FALSE(cancel_delayed_work(&priv.poll_work));
  EXPECT_FALSE(mod_delayed_work(queue, &priv.poll_work, hour)) << "was idle";
  EXPECT_TRUE(mod_delayed_work(queue, &priv.poll_work, 2 * hour));
  EXPECT_TRUE(priv.poll_ran.stays_away());
  EXPECT_TRUE(mod_delayed_work(queue, &priv.poll_work, 0));
  EXPECT_TRUE(priv.poll_ran.wait(1));
  EXPECT_FALSE(cancel_delayed_work_sync(&priv.poll_work)) << "it ran";
  EXPECT_TRUE(queue_delayed_work(queue, &priv.poll_work, hour));
  EXPECT_TRUE(flush_delayed_work(&priv.poll_work)) << "runs now";
  EXPECT_EQ(priv.polls, 2);
  EXPECT_FALSE(flush_delayed_work(&priv.poll_work));
  destroy_workqueue(queue);
}

TEST_F(KernelNames, DestroyWorkqueueRunsWhatIsQueued) {
  workqueue_struct* queue = alloc_ordered_workqueue("%s", WQ_MEM_RECLAIM, "ordered");
  EXPECT_TRUE(queue_work(queue, &priv.reset_work));
  destroy_workqueue(queue);
  EXPECT_EQ(priv.resets, 1);
}

// ---- NAPI and queues
// --------------------------------------------------------------------------------------------------

TEST_F(KernelNames, NapiIsScheduledInHalvesAndCompletes) {
  EXPECT_FALSE(napi_schedule_prep(&priv.napi)) << "disabled until open";
  ASSERT_EQ(dev_open(dev), 0);
  napi_synchronize(&priv.napi);
  EXPECT_EQ(priv.napi_polls, 1) << "what was missed while disabled";
  ASSERT_TRUE(napi_schedule_prep(&priv.napi));
  EXPECT_TRUE(napi_is_scheduled(&priv.napi));
  EXPECT_FALSE(napi_schedule_prep(&priv.napi)) << "somebody owns it";
  __napi_schedule(&priv.napi);
  napi_synchronize(&priv.napi);
  EXPECT_GE(priv.napi_polls, 2);
}

TEST_F(KernelNames, QueuesStopAndStart) {
  ASSERT_EQ(netdev_num_tx_queues(dev), 2u);
  ASSERT_EQ(dev_open(dev), 0);
  EXPECT_FALSE(netif_queue_stopped(dev));
  netif_tx_start_all_queues(dev);
  netif_stop_subqueue(dev, 1);
  EXPECT_TRUE(__netif_subqueue_stopped(dev, 1));
  EXPECT_TRUE(netif_tx_queue_stopped(netdev_get_tx_queue(dev, 1)));
  netif_wake_subqueue(dev, 1);
  EXPECT_FALSE(__netif_subqueue_stopped(dev, 1));
  netif_tx_disable(dev);
  EXPECT_TRUE(netif_queue_stopped(dev) && __netif_subqueue_stopped(dev, 1));
  int room = 0;
  struct netdev_queue* queue = netdev_get_tx_queue(dev, 0);
  netif_tx_start_queue(queue);
  EXPECT_EQ(netif_txq_maybe_stop(queue, room, 1, 4), 0);
  EXPECT_TRUE(netif_tx_queue_stopped(queue));
  EXPECT_EQ(netif_txq_maybe_stop(queue, ++room, 2, 2), -1) << "room came in between";
  EXPECT_FALSE(netif_tx_queue_stopped(queue));
  EXPECT_EQ(netif_txq_maybe_stop(queue, room, 1, 4), 1);
}

// ---- a legacy driver
// --------------------------------------------------------------------------------------------------

std::set<int> legacy_filter;
int legacy_calls;
unsigned legacy_flags, legacy_counted;

void legacy_set_rx_mode(struct net_device* dev) {
  const usernic::BlockingByDesign a_test_may;
  struct netdev_hw_addr* ha;
  ++legacy_calls;
  legacy_flags = netif_get_flags(dev);
  legacy_counted = netdev_uc_count(dev) + 10 * netdev_mc_count(dev) + (netdev_mc_empty(dev) ? 100 : 0);
  legacy_filter.clear();
  netdev_for_each_uc_addr(ha, dev) {
    legacy_filter.insert(ha->addr[5]);
  }
  netdev_for_each_mc_addr(ha, dev) {
    legacy_filter.insert(100 + ha->addr[5]);
  }
}
int nothing(struct net_device*) {
  return 0;
}
static constexpr struct net_device_ops legacy_ops = {
    .ndo_open = nothing, .ndo_stop = nothing, .ndo_start_xmit = card_xmit, .ndo_set_rx_mode = legacy_set_rx_mode};

TEST_F(KernelNames, ALegacyDriverWalksItsListsUnderTheLock) {
  struct net_device* legacy = alloc_etherdev<&legacy_ops>(0);
  netdev_add_priv_flags(legacy, IFF_UNICAST_FLT);
  ASSERT_EQ(register_netdev(legacy), 0);
  ASSERT_EQ(dev_open(legacy), 0);
  const unsigned char group[ETH_ALEN] = {1, 0, 0x5e, 0, 0, 1};
  address(addr, 1);
  ASSERT_EQ(dev_uc_add(legacy, addr), 0);
  ASSERT_EQ(dev_mc_add(legacy, group), 0);
  ASSERT_EQ(dev_set_allmulti(legacy, 1), 0);
  ASSERT_TRUE(legacy->rx_mode().settle(soon()));
  {
    LaneGuard lane(legacy->lane());
    EXPECT_EQ(legacy_filter, (std::set<int>{1, 101}));
    EXPECT_NE(legacy_flags & IFF_ALLMULTI, 0u);
    EXPECT_EQ(legacy_counted, 11u);
  }
  netif_addr_lock_bh(legacy);
  EXPECT_EQ(netdev_uc_count(legacy), 1u);
  netif_addr_unlock_bh(legacy);
  unregister_netdev(legacy);
  free_netdev(legacy);
}

TEST(KernelNamesDeathTest, WithoutAnInitNetANameThatMeansItIsAReport) {
  EXPECT_DEATH((void)init_net(), "no-init-net");
}

}  // namespace
}  // namespace usernic::kernel_names_test
