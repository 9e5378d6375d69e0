// SPDX-License-Identifier: Apache-2.0 OR MIT
// Notifier blocks in kernel style.
#include <gtest/gtest.h>

#include <string>

#include "kernel/names.h"
#include "testing/watch.h"

namespace usernic::kernel_notifier_test {
namespace {

using namespace usernic::kernel;

int nic_open(struct net_device* dev) {
  netif_tx_start_all_queues(dev);
  return 0;
}
int nic_stop(struct net_device*) {
  return 0;
}
netdev_tx_t nic_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
int nic_set_mac_address(struct net_device*, void*) {
  return 0;
}
constexpr struct net_device_ops nic_ops = {
    .ndo_open = nic_open, .ndo_stop = nic_stop, .ndo_start_xmit = nic_xmit, .ndo_set_mac_address = nic_set_mac_address};

const char* name_of(unsigned long event) {
  switch (event) {
    case NETDEV_REGISTER:
      return "register";
    case NETDEV_UNREGISTER:
      return "unregister";
    case NETDEV_PRE_UP:
      return "pre-up";
    case NETDEV_UP:
      return "up";
    case NETDEV_GOING_DOWN:
      return "going-down";
    case NETDEV_DOWN:
      return "down";
    case NETDEV_PRECHANGEMTU:
      return "pre-mtu";
    case NETDEV_CHANGEMTU:
      return "mtu";
    case NETDEV_PRE_CHANGEADDR:
      return "pre-addr";
    case NETDEV_CHANGEADDR:
      return "addr";
    case NETDEV_FEAT_CHANGE:
      return "features";
  }
  return "?";
}

struct KernelNotifier : testing::Test {
  Net net;
  init_net_is here{net};
  std::string log;

  // Writes down what it hears, with its name if it has one, and answers one event, of one device or of any, as told.
  struct listener {
    std::string* log;
    std::string name;
    unsigned long answers = 0;
    int answer = NOTIFY_DONE;
    const struct net_device* of = nullptr;
    struct notifier_block nb;
    bool with_device = false;
    std::function<void()> then;
  };
  static int hear(struct notifier_block* nb, unsigned long event, void* ptr) {
    listener* const it = container_of(nb, struct listener, nb);
    struct net_device* const dev = netdev_notifier_info_to_dev(ptr);
    EXPECT_EQ(netdev_notifier_info_to_extack(ptr), nullptr);
    ASSERT_RTNL();
    if (it->with_device) *it->log += netdev_name(dev) + ":";
    *it->log += it->name + name_of(event) + " ";
    if (it->then) it->then();
    return event == it->answers && (it->of == nullptr || it->of == dev) ? it->answer : NOTIFY_DONE;
  }
  listener make_listener(const char* name = "", int priority = 0) {
    return {.log = &log, .name = name, .nb = {.notifier_call = hear, .priority = priority}};
  }
  struct net_device* make() {
    return alloc_etherdev<&nic_ops>(0);
  }
  struct net_device* registered() {
    struct net_device* const dev = make();
    EXPECT_EQ(register_netdev(dev), 0);
    return dev;
  }
  static void away(struct net_device* dev) {
    unregister_netdev(dev);
    free_netdev(dev);
  }
  std::string heard() { return std::exchange(log, ""); }
};

TEST_F(KernelNotifier, ABlockHearsOfEverything) {
  listener it = make_listener();
  ASSERT_EQ(register_netdevice_notifier(&it.nb), 0);
  struct net_device* dev = registered();
  ASSERT_EQ(dev_open(dev), 0);
  ASSERT_EQ(dev_set_mtu(dev, 1400), 0);
  ASSERT_EQ(dev_set_mac_address(dev, MacAddress::from_u64(0x0200'0000'0001)), 0);
  ASSERT_TRUE(dev->change_features({}));
  dev_close(dev);
  away(dev);
  EXPECT_EQ(heard(), "register pre-up up pre-mtu mtu pre-addr addr features going-down down unregister ");
  EXPECT_EQ(unregister_netdevice_notifier(&it.nb), 0);
  away(registered());
  EXPECT_EQ(heard(), "");
}

TEST_F(KernelNotifier, ABlockIsToldOfWhatIsThereAndWhenItLeavesThatItGoes) {
  struct net_device* up = registered();
  struct net_device* down = registered();
  ASSERT_EQ(dev_open(up), 0);
  listener it = make_listener();
  it.with_device = true;
  ASSERT_EQ(register_netdevice_notifier(&it.nb), 0);
  EXPECT_EQ(heard(), "eth0:register eth0:up eth1:register ");
  EXPECT_EQ(unregister_netdevice_notifier(&it.nb), 0);
  EXPECT_EQ(heard(), "eth0:going-down eth0:down eth0:unregister eth1:unregister ");
  away(up);
  away(down);
  EXPECT_EQ(heard(), "");
}

TEST_F(KernelNotifier, ABlockThatRefusesADeviceIsNotRegisteredAndToldThatThoseBeforeGo) {
  struct net_device* first = registered();
  struct net_device* second = registered();
  struct net_device* third = registered();
  ASSERT_EQ(dev_open(second), 0);
  listener it = make_listener();
  it.with_device = true;
  it.answers = NETDEV_REGISTER;
  it.answer = notifier_from_errno(-EBUSY);
  it.of = third;
  EXPECT_EQ(register_netdevice_notifier(&it.nb), -EBUSY);
  EXPECT_EQ(heard(),
            "eth0:register eth1:register eth1:up eth2:register "
            "eth1:going-down eth1:down eth1:unregister eth0:unregister ");
  EXPECT_EQ(unregister_netdevice_notifier(&it.nb), -ENOENT);
  for (struct net_device* dev : {first, second, third}) away(dev);
  EXPECT_EQ(heard(), "");
}

TEST_F(KernelNotifier, TwiceAndUnknownAreErrors) {
  listener high = make_listener("high", 1), low = make_listener("low"), unknown = make_listener("unknown");
  ASSERT_EQ(register_netdevice_notifier(&high.nb), 0);
  ASSERT_EQ(register_netdevice_notifier(&low.nb), 0);
  struct net_device* dev = registered();
  log.clear();
  for (listener* it : {&high, &low}) EXPECT_EQ(register_netdevice_notifier(&it->nb), -EEXIST);
  EXPECT_EQ(unregister_netdevice_notifier(&unknown.nb), -ENOENT);
  EXPECT_EQ(heard(), "");
  EXPECT_EQ(unregister_netdevice_notifier(&high.nb), 0);
  EXPECT_EQ(unregister_netdevice_notifier(&high.nb), -ENOENT);
  EXPECT_EQ(heard(), "highunregister ");
  away(dev);
  EXPECT_EQ(heard(), "lowunregister ");
}

TEST_F(KernelNotifier, HigherPrioritiesFirstOfEqualOnesWhoCameFirst) {
  listener a = make_listener("a:"), b = make_listener("b:"), late = make_listener("late:", -5),
           early = make_listener("early:", 7);
  for (listener* it : {&a, &late, &b, &early}) ASSERT_EQ(register_netdevice_notifier(&it->nb), 0);
  struct net_device* dev = registered();
  EXPECT_EQ(heard(), "early:register a:register b:register late:register ");
  away(dev);
}

TEST_F(KernelNotifier, StopKeepsItFromThoseBehindWithOrWithoutAnError) {
  listener first = make_listener("1:", 1), last = make_listener("2:");
  for (listener* it : {&first, &last}) ASSERT_EQ(register_netdevice_notifier(&it->nb), 0);
  struct net_device* dev = registered();
  log.clear();
  first.answers = NETDEV_PRE_UP;
  first.answer = NOTIFY_BAD;
  EXPECT_EQ(dev_open(dev), -EPERM);
  EXPECT_EQ(heard(), "1:pre-up ");
  first.answer = NOTIFY_STOP;
  EXPECT_EQ(dev_open(dev), 0);
  EXPECT_EQ(heard(), "1:pre-up 1:up 2:up ");
  first.answers = NETDEV_CHANGEMTU;
  first.answer = NOTIFY_BAD;
  EXPECT_EQ(dev_set_mtu(dev, 1400), 0) << "it has happened";
  EXPECT_EQ(heard(), "1:pre-mtu 2:pre-mtu 1:mtu ");
  first.answers = NETDEV_PRECHANGEMTU;
  first.answer = notifier_from_errno(-EBUSY);
  EXPECT_EQ(dev_set_mtu(dev, 1300), -EBUSY);
  EXPECT_EQ(heard(), "1:pre-mtu ");
  first.answer = NOTIFY_OK;
  EXPECT_EQ(dev_set_mtu(dev, 1300), 0);
  away(dev);
}

TEST_F(KernelNotifier, AnswersAndErrors) {
  EXPECT_EQ(notifier_from_errno(0), NOTIFY_OK);
  for (const int error : {-EPERM, -EINVAL, -EOVERFLOW}) {
    EXPECT_EQ(notifier_from_errno(error) & NOTIFY_STOP_MASK, NOTIFY_STOP_MASK);
    EXPECT_EQ(notifier_to_errno(notifier_from_errno(error)), error);
  }
  for (const int fine : {NOTIFY_DONE, NOTIFY_OK, NOTIFY_STOP}) EXPECT_EQ(notifier_to_errno(fine), 0);
  EXPECT_EQ(notifier_to_errno(NOTIFY_BAD), -EPERM);
}

TEST_F(KernelNotifier, UnderRtnlItIsAReportAndDeadlk) {
  listener it = make_listener(), other = make_listener();
  ASSERT_EQ(register_netdevice_notifier(&it.nb), 0);
  Reports reports;
  rtnl_lock();
  EXPECT_EQ(register_netdevice_notifier(&other.nb), -EDEADLK);
  EXPECT_EQ(unregister_netdevice_notifier(&it.nb), -EDEADLK);
  rtnl_unlock();
  EXPECT_EQ(reports.rules(), "lock-twice lock-twice");
  EXPECT_TRUE(reports.all.at(0).text.starts_with("register_netdevice_notifier is called under rtnl"));
  EXPECT_TRUE(std::string(reports.all.at(0).here.file_name()).ends_with("kernel/notifier_test.cc"));
  EXPECT_EQ(unregister_netdevice_notifier(&it.nb), 0) << "nothing was changed";
}

TEST_F(KernelNotifier, ABlockMayNotComeOrGoInABlocksCall) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off: it would hang";
  listener it = make_listener();
  ASSERT_EQ(register_netdevice_notifier(&it.nb), 0);
  struct net_device* dev = make();
  int error = 0;
  it.then = [&] { error = unregister_netdevice_notifier(&it.nb); };
  Reports reports;
  ASSERT_EQ(register_netdev(dev), 0);
  EXPECT_EQ(error, -EDEADLK);
  EXPECT_EQ(reports.rules(), "lock-twice");
  it.then = nullptr;
  away(dev);
}

TEST_F(KernelNotifier, WhatABlockUnregistersInItsIntroductionIsGoneWhenItReturns) {
  struct net_device* dev = registered();
  const DeviceHandle handle(*dev);
  listener it = make_listener();
  it.then = [&] {
    if (it.answer++ == 0) unregister_netdevice(dev);
  };
  ASSERT_EQ(register_netdevice_notifier(&it.nb), 0);
  EXPECT_EQ(handle->reg_state(), RegState::kUnregistered);
  EXPECT_EQ(heard(), "register unregister ");
  free_netdev(dev);
}

}  // namespace
}  // namespace usernic::kernel_notifier_test
