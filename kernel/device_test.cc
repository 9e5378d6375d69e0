// SPDX-License-Identifier: Apache-2.0 OR MIT
// The lives of devices in kernel style: under rtnl and not, their references and addresses.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/notifier.h"
#include "usernic/thread.h"

namespace usernic::kernel_device_test {
namespace {

using namespace usernic::kernel;

struct nic_priv {
  std::string* log;
  int init_error, queue, more;
};
nic_priv* priv_of(struct net_device* dev) {
  return static_cast<nic_priv*>(netdev_priv(dev));
}

int nic_init(struct net_device* dev) {
  *priv_of(dev)->log += "init ";
  return priv_of(dev)->init_error;
}
void nic_uninit(struct net_device* dev) {
  *priv_of(dev)->log += "uninit ";
}
int nic_open(struct net_device* dev) {
  *priv_of(dev)->log += "open ";
  netif_tx_start_all_queues(dev);
  return 0;
}
int nic_stop(struct net_device* dev) {
  *priv_of(dev)->log += "stop ";
  return 0;
}
netdev_tx_t nic_xmit(struct sk_buff* skb, struct net_device* dev) {
  priv_of(dev)->queue = skb_get_queue_mapping(skb);
  priv_of(dev)->more += netdev_xmit_more();
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}

int nic_change_carrier(struct net_device* dev, bool new_carrier) {
  if (new_carrier == netif_carrier_ok(dev)) return -EBUSY;
  new_carrier ? netif_carrier_on(dev) : netif_carrier_off(dev);
  return 0;
}

constexpr struct net_device_ops nic_ops = {.ndo_init = nic_init,
                                           .ndo_uninit = nic_uninit,
                                           .ndo_open = nic_open,
                                           .ndo_stop = nic_stop,
                                           .ndo_start_xmit = nic_xmit,
                                           .ndo_set_mac_address = eth_mac_addr,
                                           .ndo_validate_addr = eth_validate_addr,
                                           .ndo_change_carrier = nic_change_carrier};

struct KernelDevice : testing::Test {
  Net net;
  init_net_is here{net};
  std::string log;
  struct net_device* make(unsigned queues = 1) {
    struct net_device* dev = alloc_etherdev_mqs<&nic_ops>(sizeof(nic_priv), queues, 1);
    priv_of(dev)->log = &log;
    eth_hw_addr_random(dev);
    return dev;
  }
};

TEST_F(KernelDevice, ANewDeviceHasNoAddress) {
  struct net_device* dev = alloc_etherdev<&nic_ops>(sizeof(nic_priv));
  EXPECT_TRUE(is_zero_ether_addr(netdev_dev_addr(dev)));
  EXPECT_TRUE(dev->address().is_zero());
  priv_of(dev)->log = &log;
  ASSERT_EQ(register_netdev(dev), 0);
  EXPECT_EQ(dev_open(dev), -EADDRNOTAVAIL) << "eth_validate_addr";
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, AnInitThatReturnsAPositiveNumberFails) {
  struct net_device* dev = make();
  priv_of(dev)->init_error = 1;
  EXPECT_EQ(register_netdev(dev), -EIO);
  free_netdev(dev);
  EXPECT_EQ(log, "init ");
}

// ---- under rtnl -----------------------------------------------------------------------------------------------------

TEST_F(KernelDevice, RegisteredUnderRtnlItCanBeOpenedAfterwards) {
  struct net_device* dev = make();
  rtnl_lock();
  EXPECT_EQ(register_netdevice(dev), 0);
  EXPECT_EQ(dev->reg_state(), RegState::kRegistered);
  rtnl_unlock();
  EXPECT_EQ(dev_open(dev), 0);
  unregister_netdev(dev);
  free_netdev(dev);
  EXPECT_EQ(log, "init open stop uninit ");
}

TEST_F(KernelDevice, AFailedRegistrationUnderRtnlIsUndoneAndFreedBeforeOrAfterUnlock) {
  for (const bool before : {true, false}) {
    log.clear();
    struct net_device* dev = make();
    priv_of(dev)->init_error = -ENOMEM;
    rtnl_lock();
    EXPECT_EQ(register_netdevice(dev), -ENOMEM);
    if (before) free_netdev(dev);
    rtnl_unlock();
    if (!before) {
      EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
      free_netdev(dev);
    }
    EXPECT_EQ(log, "init ");
  }
}

TEST_F(KernelDevice, ANotifiersVetoUnderRtnlWaitsForReferencesInUnlockAndNotBefore) {
  struct net_device* dev = make();
  Event about_to_unlock, unlocked;
  const Notifier veto(net, [&](NetdevEvent event, NetDevice& which) -> Result<> {
    if (event != NetdevEvent::kRegister) return {};
    dev_hold(&which);
    return fail(std::errc::operation_not_permitted);
  });
  Thread registers("registers", [&] {
    rtnl_lock();
    EXPECT_EQ(register_netdevice(dev), -EPERM);
    free_netdev(dev);
    about_to_unlock.set();
    rtnl_unlock();
    unlocked.set();
  });
  ASSERT_TRUE(about_to_unlock.wait());
  EXPECT_TRUE(unlocked.stays_away()) << "somebody holds a reference";
  rtnl_lock();  // which nobody waits under
  rtnl_unlock();
  EXPECT_EQ(log, "init uninit ");
  dev_put(dev);
  EXPECT_TRUE(unlocked.wait());
}

TEST_F(KernelDevice, UnregisteredUnderRtnlItGoesWithTheUnlock) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  ASSERT_EQ(dev_open(dev), 0);
  rtnl_lock();
  unregister_netdevice(dev);
  EXPECT_EQ(dev->reg_state(), RegState::kRegistered) << "closing it waits for its lane";
  free_netdev(dev);
  const DeviceHandle handle(*dev);
  rtnl_unlock();
  EXPECT_EQ(handle->reg_state(), RegState::kReleased);
  EXPECT_EQ(log, "init open stop uninit ");
}

TEST_F(KernelDevice, UnregisteringTwiceUnderRtnlIsAReport) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  Reports reports;
  rtnl_lock();
  unregister_netdevice(dev);
  unregister_netdevice(dev);
  rtnl_unlock();
  EXPECT_EQ(reports.rules(), "unregister-unregistered");
  free_netdev(dev);
}

TEST_F(KernelDevice, WithoutRtnlTheNamesThatWantItReport) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  struct net_device* dev = make();
  Reports reports;
  EXPECT_EQ(register_netdevice(dev), 0);
  unregister_netdevice(dev);
  EXPECT_EQ(reports.rules(), "not-held ndo-locks not-held unregister-unseen");
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, TheCarrierIsChangedByTheTablesOp) {
  struct net_device* dev = make();
  EXPECT_EQ(dev_change_carrier(dev, false), -ENODEV);
  ASSERT_EQ(register_netdev(dev), 0);
  EXPECT_EQ(dev_change_carrier(dev, false), 0);
  EXPECT_FALSE(netif_carrier_ok(dev));
  EXPECT_EQ(dev_change_carrier(dev, false), -EBUSY) << "the op's own answer";
  EXPECT_EQ(dev_change_carrier(dev, true), 0);
  EXPECT_TRUE(netif_carrier_ok(dev));
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, WhatWaitsForTheLaneIsRefusedUnderRtnlInAPreciseSentence) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  struct sockaddr to = {};
  to.sa_family = ARPHRD_ETHER;
  to.sa_data[0] = 2;
  Reports reports;
  rtnl_lock();
  EXPECT_EQ(dev_open(dev), -EDEADLK);
  dev_close(dev);
  EXPECT_EQ(dev_set_mtu(dev, 1400), -EDEADLK);
  EXPECT_EQ(dev_set_mac_address(dev, &to), -EDEADLK);
  EXPECT_EQ(dev_change_carrier(dev, false), -EDEADLK);
  netif_device_detach(dev);
  netif_device_attach(dev);
  EXPECT_EQ(register_netdev(dev), -EDEADLK);
  unregister_netdev(dev);
  rtnl_unlock();
  ASSERT_EQ(reports.all.size(), 9u) << reports.rules();
  for (const ContractReport& each : reports.all) EXPECT_EQ(each.rule, "wait-under-rtnl");
  EXPECT_TRUE(reports.all[0].text.starts_with("dev_open is called under rtnl: it waits for the device's lane"));
  EXPECT_TRUE(std::string(reports.all[0].here.file_name()).ends_with("kernel/device_test.cc"));
  EXPECT_EQ(log, "init ");
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, TrylockTellsWhetherItHasIt) {
  rtnl_lock();
  int got = -1;
  Thread other("other", [&] { got = rtnl_trylock(); });
  other.join();
  EXPECT_EQ(got, 0);
  rtnl_unlock();
  ASSERT_EQ(rtnl_trylock(), 1);
  ASSERT_RTNL();
  rtnl_unlock();
}

// ---- references -----------------------------------------------------------------------------------------------------

TEST_F(KernelDevice, APutTooManyAndASecondHoldOfOneTrackerAreReports) {
  struct net_device* dev = make();
  struct net_device* other = make();
  netdevice_tracker tracker;
  netdev_hold(dev, &tracker, GFP_KERNEL);
  Reports reports;
  netdev_hold(dev, &tracker, GFP_KERNEL);
  EXPECT_EQ(reports.rules(), "ref-held-twice");
  netdev_put(other, &tracker);
  EXPECT_EQ(reports.rules(), "ref-held-twice ref-underflow") << "of another device";
  EXPECT_EQ(dev->ref_holders().size(), 1u);
  netdev_put(dev, &tracker);
  EXPECT_TRUE(dev->ref_holders().empty());
  netdev_put(dev, &tracker);
  EXPECT_EQ(reports.rules(), "ref-held-twice ref-underflow ref-underflow");
  netdev_put(nullptr, &tracker);
  EXPECT_EQ(reports.all.size(), 3u);
  free_netdev(dev);
  free_netdev(other);
}

// ---- addresses and queues -------------------------------------------------------------------------------------------

TEST_F(KernelDevice, AProbeFunctionSetsTheAddressWithoutRtnl) {
  struct net_device* dev = make();
  const u8 addr[ETH_ALEN] = {2, 0, 0, 0, 0, 9};
  eth_hw_addr_set(dev, addr);
  ASSERT_EQ(register_netdev(dev), 0);
  EXPECT_EQ(dev->address(), MacAddress::from_bytes(addr));
  EXPECT_EQ(dev->rx_mode().status().own_address, MacAddress::from_bytes(addr));
  if (kChecksOn) {
    Reports reports;
    eth_hw_addr_set(dev, addr);
    EXPECT_EQ(reports.rules(), "not-held") << "registered, it takes rtnl";
  }
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, TheSharedAddressOps) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  struct sockaddr_storage to = {};
  const u8 addr[ETH_ALEN] = {2, 0, 0, 0, 0, 7};
  memcpy(reinterpret_cast<char*>(&to) + sizeof to.ss_family, addr, ETH_ALEN);
  EXPECT_EQ(dev_set_mac_address(dev, &to), -EINVAL) << "of no family";
  to.ss_family = ARPHRD_ETHER;
  EXPECT_EQ(dev_set_mac_address(dev, &to), 0);
  EXPECT_TRUE(ether_addr_equal(netdev_dev_addr(dev), addr));
  ASSERT_EQ(dev_open(dev), 0);
  EXPECT_EQ(dev_set_mac_address(dev, MacAddress::from_u64(0x0200'0000'0001)), -EBUSY) << "eth_mac_addr, running";
  dev_close(dev);
  rtnl_lock();
  EXPECT_EQ(dev_addr_init(dev), 0);
  rtnl_unlock();
  EXPECT_EQ(dev_open(dev), -EADDRNOTAVAIL) << "eth_validate_addr: all zeros";
  rtnl_lock();
  eth_hw_addr_random(dev);
  rtnl_unlock();
  EXPECT_TRUE(is_valid_ether_addr(netdev_dev_addr(dev)));
  EXPECT_EQ(dev_open(dev), 0);
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST(KernelEther, Octets) {
  const u8 check[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  EXPECT_EQ(ether_crc_le(9, check), ~0xcbf4'3926u) << "the check value of this CRC, without its last inversion";
  EXPECT_EQ(ether_crc(9, check), 0x9b63'd02cu);
  u8 addr[ETH_ALEN];
  eth_broadcast_addr(addr);
  EXPECT_TRUE(is_broadcast_ether_addr(addr) && is_multicast_ether_addr(addr) && !is_unicast_ether_addr(addr));
  eth_zero_addr(addr);
  EXPECT_TRUE(is_zero_ether_addr(addr) && is_unicast_ether_addr(addr) && !is_valid_ether_addr(addr));
  u8 copy[ETH_ALEN];
  eth_random_addr(addr);
  EXPECT_TRUE(is_valid_ether_addr(addr) && (addr[0] & 2) != 0);
  ether_addr_copy(copy, addr);
  EXPECT_TRUE(ether_addr_equal(copy, addr));
}

TEST_F(KernelDevice, StateIsReadAndFoundByName) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  EXPECT_EQ(netdev_name(dev), "eth0");
  EXPECT_EQ(dev_net(dev), &net);
  netdevice_tracker tracker;
  EXPECT_EQ(netdev_get_by_name(&net, "gone", &tracker, GFP_KERNEL), nullptr);
  EXPECT_EQ(netdev_get_by_name(&net, "eth0", &tracker, GFP_KERNEL), dev);
  EXPECT_EQ(dev->ref_holders().size(), 1u);
  netdev_put(dev, &tracker);
  EXPECT_TRUE(!netif_running(dev) && netif_device_present(dev) && netif_carrier_ok(dev));
  ASSERT_EQ(dev_open(dev), 0);
  netif_carrier_off(dev);
  EXPECT_EQ(netif_get_flags(dev) & (IFF_UP | IFF_RUNNING), IFF_UP);
  netif_carrier_on(dev);
  EXPECT_EQ(netif_get_flags(dev) & (IFF_UP | IFF_RUNNING), IFF_UP | IFF_RUNNING);
  netif_device_detach(dev);
  EXPECT_TRUE(netif_running(dev) && !netif_device_present(dev) && netif_queue_stopped(dev));
  netif_device_attach(dev);
  EXPECT_TRUE(netif_device_present(dev) && !netif_queue_stopped(dev));
  struct rtnl_link_stats64 stats;
  EXPECT_EQ(dev_get_stats(dev, &stats), &stats);
  EXPECT_EQ(stats.tx_packets, 0u);
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, FlushAndInitLeaveNothingBehind) {
  struct net_device* dev = make();
  ASSERT_EQ(register_netdev(dev), 0);
  const u8 one[ETH_ALEN] = {2, 0, 0, 0, 0, 1}, group[ETH_ALEN] = {3, 0, 0, 0, 0, 1};
  for (auto* empty : {dev_uc_flush, dev_uc_init}) {
    ASSERT_EQ(dev_uc_add(dev, one), 0);
    empty(dev);
    EXPECT_EQ(dev_uc_del(dev, one), -ENOENT);
  }
  for (auto* empty : {dev_mc_flush, dev_mc_init}) {
    ASSERT_EQ(dev_mc_add_global(dev, group), 0);
    empty(dev);
    EXPECT_EQ(dev_mc_del_global(dev, group), -ENOENT);
  }
  const u8 zeros[ETH_ALEN] = {};
  for (const u8* any : {group, zeros}) {
    EXPECT_EQ(dev_uc_add(dev, any), 0) << "of what class an address is, is the caller's business";
    EXPECT_EQ(dev_uc_del(dev, any), 0);
    EXPECT_EQ(dev_mc_add(dev, any), 0);
    EXPECT_EQ(dev_mc_del(dev, any), 0);
  }
  struct netdev_hw_addr_list list;
  ASSERT_EQ(__hw_addr_add(&list, one, ETH_ALEN, NETDEV_HW_ADDR_T_UNICAST), 0);
  __hw_addr_flush(&list);
  EXPECT_TRUE(netdev_hw_addr_list_empty(&list));
  rtnl_lock();
  ASSERT_EQ(dev_addr_add(dev, one, NETDEV_HW_ADDR_T_SAN), 0);
  dev_addr_flush(dev);
  EXPECT_EQ(netdev_hw_addr_list_count(netdev_dev_addrs(dev)), 1);
  rtnl_unlock();
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, XmitKnowsItsQueueAndWhetherMoreFollows) {
  struct net_device* dev = make(3);
  ASSERT_EQ(register_netdev(dev), 0);
  ASSERT_EQ(dev_open(dev), 0);
  SkbPool pool(4, 64);
  SkbBatch frames;
  pool.alloc(frames, 2);
  {
    const BhScope bh;
    EXPECT_EQ(dev->xmit(*netdev_get_tx_queue(dev, 2), frames), 2u);
  }
  EXPECT_EQ(priv_of(dev)->queue, 2);
  EXPECT_EQ(priv_of(dev)->more, 1) << "behind the first of two";
  unregister_netdev(dev);
  free_netdev(dev);
}

TEST_F(KernelDevice, ReportsCallItByItsTable) {
  struct net_device* dev = make();
  EXPECT_EQ(dev->driver_name(), "nic_ops");
  free_netdev(dev);
}

}  // namespace
}  // namespace usernic::kernel_device_test
