// SPDX-License-Identifier: Apache-2.0 OR MIT
// Devices in kernel style that go together: one holds a reference on the other, or takes it along.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/notifier.h"
#include "usernic/thread.h"

namespace usernic::kernel_unregister_test {
namespace {

using namespace usernic::kernel;

int nothing(struct net_device*) {
  return 0;
}
netdev_tx_t drop(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}

struct lower_priv {
  std::function<void()>* uninit;
  std::string* log;
};
void note(struct net_device* dev, const char* what) {
  std::string* const log = static_cast<lower_priv*>(netdev_priv(dev))->log;
  if (log) *log += what + netdev_name(dev) + " ";
}
int lower_stop(struct net_device* dev) {
  note(dev, "stop:");
  return 0;
}
void lower_uninit(struct net_device* dev) {
  const auto* uninit = static_cast<lower_priv*>(netdev_priv(dev))->uninit;
  note(dev, "uninit:");
  if (uninit && *uninit) (*uninit)();
}
constexpr struct net_device_ops lower_ops = {
    .ndo_uninit = lower_uninit, .ndo_open = nothing, .ndo_stop = lower_stop, .ndo_start_xmit = drop};

// From ndo_init to ndo_uninit it holds its lower.
struct upper_priv {
  struct net_device* lower;
  netdevice_tracker* tracker;
};
int upper_init(struct net_device* dev) {
  upper_priv* priv = static_cast<upper_priv*>(netdev_priv(dev));
  netdev_hold(priv->lower, priv->tracker, GFP_KERNEL);
  return 0;
}
void upper_uninit(struct net_device* dev) {
  upper_priv* priv = static_cast<upper_priv*>(netdev_priv(dev));
  netdev_put(priv->lower, priv->tracker);
}
constexpr struct net_device_ops upper_ops = {.ndo_init = upper_init,
                                             .ndo_uninit = upper_uninit,
                                             .ndo_open = nothing,
                                             .ndo_stop = nothing,
                                             .ndo_start_xmit = drop};

// It holds its lower until it is freed.
struct Clinging {
  Clinging(NetDevice&, net_device* lower) { netdev_hold(lower, &tracker, GFP_KERNEL); }
  Result<> open() { return {}; }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    dev_kfree_skb_any(&skb);
    return NetdevTx::kOk;
  }
  netdevice_tracker tracker;
};

struct KernelUnregister : testing::Test {
  Net net;
  init_net_is here{net};
  netdevice_tracker tracker;
  std::function<void()> uninit;
  struct net_device* lower =
      registered(alloc_netdev<&lower_ops>(sizeof(lower_priv), "low", NET_NAME_USER, ether_setup));
  struct net_device* upper = alloc_netdev<&upper_ops>(sizeof(upper_priv), "up", NET_NAME_USER, ether_setup);

  static struct net_device* registered(struct net_device* dev) {
    EXPECT_EQ(register_netdev(dev), 0);
    return dev;
  }
  void SetUp() override {
    static_cast<lower_priv*>(netdev_priv(lower))->uninit = &uninit;
    *static_cast<upper_priv*>(netdev_priv(upper)) = {lower, &tracker};
    registered(upper);
  }
  // Runs it on a thread of its own: what waits for ever is let go, and a failure.
  void must_end(const std::function<void()>& body, netdevice_tracker& held) {
    Event ended;
    Thread runs("runs", [&] {
      body();
      ended.set();
    });
    const bool in_time = ended.wait();
    EXPECT_TRUE(in_time) << "waits for a reference that nobody gives back";
    if (!in_time) held.put();
  }
  void must_end(const std::function<void()>& body) { must_end(body, tracker); }
  void free_both() {
    EXPECT_EQ(upper->reg_state(), RegState::kUnregistered);
    EXPECT_EQ(lower->reg_state(), RegState::kUnregistered);
    free_netdev(upper);
    free_netdev(lower);
  }
};

TEST_F(KernelUnregister, AReferenceThatAnUppersUninitGivesBackMayBeOnADeviceListedBeforeIt) {
  must_end([this] {
    rtnl_lock();
    unregister_netdevice(lower);
    unregister_netdevice(upper);
    rtnl_unlock();
  });
  free_both();
}

TEST_F(KernelUnregister, AReferenceThatAnUppersDestructorGivesBackMayBeOnADeviceListedBeforeIt) {
  struct net_device* clinging = registered(alloc_netdev_mqs<Clinging>("cling", 1, 1, lower));
  unregister_netdev(upper);
  const DeviceHandle lower_was(*lower), clinging_was(*clinging);
  must_end(
      [&] {
        rtnl_lock();
        unregister_netdevice(lower);
        free_netdev(lower);
        unregister_netdevice(clinging);
        free_netdev(clinging);
        rtnl_unlock();
      },
      netdev_priv<Clinging>(clinging)->tracker);
  EXPECT_EQ(lower_was->reg_state(), RegState::kReleased);
  EXPECT_EQ(clinging_was->reg_state(), RegState::kReleased);
  free_netdev(upper);
}

TEST_F(KernelUnregister, ANotifierOfTheLowerTakesTheUpperAlong) {
  const Notifier along(net, [this](NetdevEvent event, NetDevice& dev) -> Result<> {
    if (event == NetdevEvent::kUnregister && &dev == lower) unregister_netdevice(upper);
    return {};
  });
  must_end([this] {
    rtnl_lock();
    unregister_netdevice(lower);
    rtnl_unlock();
  });
  free_both();
}

TEST_F(KernelUnregister, WithoutRtnlTooTheUninitOfTheLowerTakesTheUpperAlongAndHasItFreed) {
  const DeviceHandle upper_was(*upper);
  uninit = [this] {
    unregister_netdevice(upper);
    free_netdev(upper);
    free_netdev(lower);  // it is on its way
  };
  const DeviceHandle lower_was(*lower);
  must_end([this] { unregister_netdev(lower); });
  EXPECT_EQ(upper_was->reg_state(), RegState::kReleased);
  EXPECT_EQ(lower_was->reg_state(), RegState::kReleased);
}

TEST_F(KernelUnregister, UnderARtnlWhoseUnlockLooksForNothingItIsAReport) {
  ASSERT_EQ(dev_open(lower), 0);
  const Notifier along(net, [this](NetdevEvent event, NetDevice& dev) -> Result<> {
    if (event == NetdevEvent::kGoingDown && &dev == lower) unregister_netdevice(upper);
    return {};
  });
  Reports reports;
  dev_close(lower);
  ASSERT_EQ(reports.rules(), "unregister-unseen");
  EXPECT_EQ(upper->reg_state(), RegState::kRegistered);
  unregister_netdev(upper);
  unregister_netdev(lower);
  free_both();
}

TEST_F(KernelUnregister, WhatAnotherThreadListsIsForItsOwnUnlock) {
  using Mine = Local<bool, struct MineTag>;
  Mine::get() = true;
  bool by_me = false;
  std::function<void()> note = [&] { by_me = Mine::get(); };
  struct net_device* other =
      registered(alloc_netdev<&lower_ops>(sizeof(lower_priv), "other", NET_NAME_USER, ether_setup));
  static_cast<lower_priv*>(netdev_priv(other))->uninit = &note;
  Event running, gone;
  rtnl_lock();
  unregister_netdevice(other);
  Thread unregisters("unregisters", [&] {
    running.set();
    unregister_netdev(upper);
    gone.set();
  });
  ASSERT_TRUE(running.wait());
  EXPECT_TRUE(gone.stays_away()) << "rtnl is held";
  rtnl_unlock();
  EXPECT_TRUE(by_me);
  EXPECT_EQ(other->reg_state(), RegState::kUnregistered);
  EXPECT_TRUE(gone.wait());
  free_netdev(other);
  unregister_netdev(lower);
  free_both();
}

// ---- many at once ---------------------------------------------------------------------------------------------------

struct KernelUnregisterMany : testing::Test {
  Net net;
  init_net_is here{net};
  std::string log;
  struct net_device *a = add("a"), *b = add("b"), *c = add("c");

  struct net_device* add(const char* name) {
    struct net_device* dev = alloc_netdev<&lower_ops>(sizeof(lower_priv), name, NET_NAME_USER, ether_setup);
    static_cast<lower_priv*>(netdev_priv(dev))->log = &log;
    EXPECT_EQ(register_netdev(dev), 0);
    EXPECT_EQ(dev_open(dev), 0);
    return dev;
  }
  void TearDown() override {
    for (struct net_device* dev : {a, b, c}) {
      if (dev->reg_state() == RegState::kRegistered) unregister_netdev(dev);
      free_netdev(dev);
    }
  }
};

TEST_F(KernelUnregisterMany, AllAreClosedBeforeAnyLeavesAndAllByTheUnlock) {
  LIST_HEAD(list);
  rtnl_lock();
  EXPECT_TRUE(list_empty(&list));
  unregister_netdevice_queue(a, &list);
  unregister_netdevice_queue(b, &list);
  EXPECT_FALSE(list_empty(&list));
  unregister_netdevice_many(&list);
  EXPECT_TRUE(list_empty(&list));
  unregister_netdevice_many(&list);
  EXPECT_EQ(log, "");
  EXPECT_EQ(a->reg_state(), RegState::kRegistered);
  rtnl_unlock();
  EXPECT_EQ(log, "stop:a stop:b uninit:a uninit:b ");
  EXPECT_EQ(b->reg_state(), RegState::kUnregistered);
  EXPECT_EQ(c->reg_state(), RegState::kRegistered);
}

TEST_F(KernelUnregisterMany, WithoutAListADeviceLeavesByItselfAndTwoListsAreTwoBatches) {
  LIST_HEAD(list);
  rtnl_lock();
  unregister_netdevice_queue(c, &list);
  unregister_netdevice_queue(a, NULL);
  unregister_netdevice_many(&list);
  unregister_netdevice_queue(b, &list);
  unregister_netdevice_many(&list);
  rtnl_unlock();
  EXPECT_EQ(log, "stop:a uninit:a stop:c uninit:c stop:b uninit:b ");
}

TEST_F(KernelUnregisterMany, QueuedAgainADeviceMovesToTheEnd) {
  struct list_head list;
  INIT_LIST_HEAD(&list);
  rtnl_lock();
  for (struct net_device* dev : {a, b, c, a}) unregister_netdevice_queue(dev, &list);
  unregister_netdevice_many(&list);
  rtnl_unlock();
  EXPECT_EQ(log, "stop:b stop:c stop:a uninit:b uninit:c uninit:a ");
}

TEST_F(KernelUnregisterMany, OnlyQueuedNothingLeaves) {
  LIST_HEAD(list);
  rtnl_lock();
  unregister_netdevice_queue(a, &list);
  rtnl_unlock();
  EXPECT_EQ(a->reg_state(), RegState::kRegistered);
  rtnl_lock();
  unregister_netdevice_many(&list);
  rtnl_unlock();
  EXPECT_EQ(a->reg_state(), RegState::kUnregistered) << "later, too";
}

TEST_F(KernelUnregisterMany, OneThatIsListedAlreadyIsAReportAndTheOthersLeave) {
  LIST_HEAD(list);
  Reports reports;
  rtnl_lock();
  unregister_netdevice(a);
  unregister_netdevice_queue(a, &list);
  unregister_netdevice_queue(b, &list);
  unregister_netdevice_many(&list);
  rtnl_unlock();
  EXPECT_EQ(reports.rules(), "unregister-unregistered");
  EXPECT_EQ(log, "stop:a uninit:a stop:b uninit:b ");
}

TEST_F(KernelUnregisterMany, WhatNeedsFreeIsFreed) {
  const DeviceHandle was(*c);
  c = add("d");
  netdev_set_needs_free(was.get(), true);
  LIST_HEAD(list);
  rtnl_lock();
  unregister_netdevice_queue(was.get(), &list);
  unregister_netdevice_queue(a, &list);
  unregister_netdevice_many(&list);
  rtnl_unlock();
  EXPECT_EQ(was->reg_state(), RegState::kReleased);
  EXPECT_EQ(a->reg_state(), RegState::kUnregistered);
}

TEST_F(KernelUnregisterMany, WithoutRtnlItIsAReport) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  LIST_HEAD(list);
  Reports reports;
  unregister_netdevice_queue(a, &list);
  EXPECT_EQ(reports.rules(), "not-held");
  unregister_netdevice_many(&list);
  EXPECT_EQ(reports.rules(), "not-held not-held unregister-unseen");
  EXPECT_EQ(a->reg_state(), RegState::kRegistered);
}

}  // namespace
}  // namespace usernic::kernel_unregister_test
