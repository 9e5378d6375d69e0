// SPDX-License-Identifier: Apache-2.0 OR MIT
// The end of a device in kernel style: priv_destructor, needs_free_netdev, and who frees it.
#include <gtest/gtest.h>

#include <string>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/notifier.h"
#include "usernic/thread.h"

namespace usernic::kernel_freed_test {
namespace {

using namespace usernic::kernel;

struct Log {
  std::string text;
  int init_error = 0;
  std::function<void()> in_uninit, in_destructor;
};

struct Nic {
  explicit Nic(NetDevice&, Log& log) : log(log) {}
  ~Nic() { log.text += "freed "; }
  Result<> init() {
    log.text += "init ";
    return log.init_error == 0 ? Result<>() : fail(static_cast<std::errc>(-log.init_error));
  }
  void uninit() {
    log.text += "uninit ";
    if (log.in_uninit) log.in_uninit();
  }
  Result<> open() { return {}; }
  void stop() { log.text += "stop "; }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    dev_kfree_skb_any(&skb);
    return NetdevTx::kOk;
  }
  Log& log;
};

void destructor(struct net_device* dev) {
  Log& log = netdev_priv<Nic>(dev)->log;
  log.text += "destructor ";
  if (log.in_destructor) log.in_destructor();
}

struct KernelFreed : testing::Test {
  Net net;
  init_net_is here{net};
  Log log;
  struct net_device* make(bool needs_free, const char* name = "nic") {
    auto* const dev = alloc_netdev_mqs<Nic>(name, 1, 1, log);
    netdev_set_priv_destructor(dev, destructor);
    netdev_set_needs_free(dev, needs_free);
    return dev;
  }
  struct net_device* registered(bool needs_free) {
    struct net_device* dev = make(needs_free);
    EXPECT_EQ(register_netdev(dev), 0);
    EXPECT_EQ(dev_open(dev), 0);
    log.text.clear();
    return dev;
  }
  static int register_under_rtnl(struct net_device* dev) {
    rtnl_lock();
    const int err = register_netdevice(dev);
    rtnl_unlock();
    return err;
  }
};

// ---- priv_destructor ------------------------------------------------------------------------------------------------

TEST_F(KernelFreed, TheDestructorIsCalledOnceWhenNobodyHoldsAReferenceAnyMore) {
  struct net_device* dev = registered(false);
  netdevice_tracker tracker;
  netdev_hold(dev, &tracker, GFP_KERNEL);
  log.in_destructor = [&] {
    EXPECT_TRUE(dev->ref_holders().empty());
    rtnl_lock();  // which is free
    rtnl_unlock();
  };
  Event left, over;
  log.in_uninit = [&] { left.set(); };
  Thread unregisters("unregisters", [&] {
    unregister_netdev(dev);
    over.set();
  });
  EXPECT_TRUE(left.wait());
  EXPECT_TRUE(over.stays_away());
  EXPECT_EQ(log.text, "stop uninit ");
  netdev_put(dev, &tracker);
  ASSERT_TRUE(over.wait());
  EXPECT_EQ(log.text, "stop uninit destructor ");
  free_netdev(dev);
  EXPECT_EQ(log.text, "stop uninit destructor freed ");
}

TEST_F(KernelFreed, UnderRtnlItIsTheUnlockThatCallsTheDestructor) {
  struct net_device* dev = registered(false);
  rtnl_lock();
  unregister_netdevice(dev);
  EXPECT_EQ(log.text, "");
  rtnl_unlock();
  EXPECT_EQ(log.text, "stop uninit destructor ");
  free_netdev(dev);
}

TEST_F(KernelFreed, ARegisterWhoseInitFailsCallsNoDestructor) {
  for (const auto way : {&register_netdev, +[](struct net_device*dev, Place) { return register_under_rtnl(dev); }}) {
    log = {.init_error = -ENOMEM};
    struct net_device* dev = make(false);
    EXPECT_EQ(way(dev, Place::current()), -ENOMEM);
    free_netdev(dev);
    EXPECT_EQ(log.text, "init freed ");
  }
}

TEST_F(KernelFreed, ARegisterWhoseNameIsTakenCallsNothingOfTheDriver) {
  struct net_device* first = registered(false);
  for (const auto way : {&register_netdev, +[](struct net_device*dev, Place) { return register_under_rtnl(dev); }}) {
    struct net_device* dev = make(false);
    log.text.clear();
    EXPECT_EQ(way(dev, Place::current()), -EEXIST);
    EXPECT_EQ(log.text, "");
    free_netdev(dev);
    EXPECT_EQ(log.text, "freed ");
  }
  unregister_netdev(first);
  free_netdev(first);
}

TEST_F(KernelFreed, ARegisterThatANotifierForbidsLeavesTheDestructorToTheUnlock) {
  const Notifier veto(net, [](NetdevEvent event, NetDevice&) -> Result<> {
    return event == NetdevEvent::kRegister ? fail(std::errc::operation_not_permitted) : Result<>();
  });
  struct net_device* dev = make(false);
  rtnl_lock();
  EXPECT_EQ(register_netdevice(dev), -EPERM);
  EXPECT_EQ(log.text, "init uninit ");
  rtnl_unlock();
  EXPECT_EQ(log.text, "init uninit destructor ");
  free_netdev(dev);
  EXPECT_EQ(log.text, "init uninit destructor freed ");
}

TEST_F(KernelFreed, ADeviceThatWasNeverRegisteredIsFreedWithoutItsDestructor) {
  free_netdev(make(true));
  EXPECT_EQ(log.text, "freed ");
}

// ---- needs_free_netdev ----------------------------------------------------------------------------------------------

TEST_F(KernelFreed, WhatNeedsFreeIsFreedByWhateverUnregistersIt) {
  DeviceHandle was(*registered(true));
  unregister_netdev(was.get());
  EXPECT_EQ(was->reg_state(), RegState::kReleased);
  EXPECT_EQ(log.text, "stop uninit destructor freed ");
  was = DeviceHandle(*registered(true));
  rtnl_lock();
  unregister_netdevice(was.get());
  rtnl_unlock();
  EXPECT_EQ(was->reg_state(), RegState::kReleased);
  EXPECT_EQ(log.text, "stop uninit destructor freed ");
}

TEST_F(KernelFreed, WhoFreesItHimselfHearsOfItAndItIsFreedOnce) {
  Reports reports;
  struct net_device* dev = registered(true);
  unregister_netdev(dev);
  struct net_device* next = make(false);
  EXPECT_NE(next, dev) << "it would be freed in its place";
  free_netdev(dev);
  EXPECT_EQ(reports.rules(), "free-twice");
  EXPECT_EQ(log.text, "stop uninit destructor freed ");
  free_netdev(next);

  dev = registered(true);
  rtnl_lock();
  unregister_netdevice(dev);
  free_netdev(dev);
  EXPECT_EQ(reports.rules(), "free-twice free-twice") << "too early as well as too late";
  rtnl_unlock();
  EXPECT_EQ(log.text, "stop uninit destructor freed ");

  dev = registered(true);
  log.in_destructor = [dev] { free_netdev(dev); };
  unregister_netdev(dev);
  EXPECT_EQ(reports.rules(), "free-twice free-twice free-twice");
  EXPECT_EQ(log.text, "stop uninit destructor freed ");
}

TEST_F(KernelFreed, ADestructorThatFreesTheDeviceIsNoDoubleFree) {
  DeviceHandle was(*registered(false));
  netdev_set_priv_destructor(was.get(), [](struct net_device* dev) { free_netdev(dev); });
  unregister_netdev(was.get());
  EXPECT_EQ(was->reg_state(), RegState::kReleased);
  EXPECT_EQ(log.text, "stop uninit freed ");
}

TEST_F(KernelFreed, ADestructorMayFreeWhatANotifierForbids) {
  const Notifier veto(net, [](NetdevEvent event, NetDevice&) -> Result<> {
    return event == NetdevEvent::kRegister ? fail(std::errc::operation_not_permitted) : Result<>();
  });
  struct net_device* const dev = make(false);
  netdev_set_priv_destructor(dev, [](struct net_device* of) { free_netdev(of); });
  EXPECT_EQ(register_netdev(dev), -EPERM);
  EXPECT_EQ(log.text, "init uninit freed ");
}

TEST_F(KernelFreed, WhoFreesADeviceASecondTimeHearsOfIt) {
  Reports reports;
  struct net_device* const dev = registered(false);
  unregister_netdev(dev);
  free_netdev(dev);
  free_netdev(dev);
  EXPECT_EQ(reports.rules(), "free-twice");
}

TEST_F(KernelFreed, WhatFailsToRegisterIsTheCallersToFree) {
  struct net_device* first = registered(false);
  Reports reports;
  for (const bool name_is_taken : {true, false}) {
    const Notifier veto(net, [&](NetdevEvent event, NetDevice& dev) -> Result<> {
      if (event != NetdevEvent::kRegister || &dev == first) return {};
      return fail(std::errc::operation_not_permitted);
    });
    for (const bool before_unlock : {true, false}) {
      struct net_device* dev = make(true, name_is_taken ? "nic" : "other");
      log.text.clear();
      rtnl_lock();
      EXPECT_EQ(register_netdevice(dev), name_is_taken ? -EEXIST : -EPERM);
      if (before_unlock) free_netdev(dev);
      rtnl_unlock();
      if (!before_unlock) {
        EXPECT_EQ(log.text, name_is_taken ? "" : "init uninit destructor ") << "not freed";
        free_netdev(dev);
      }
      EXPECT_EQ(log.text, name_is_taken ? "freed " : "init uninit destructor freed ");
    }
  }
  EXPECT_EQ(reports.rules(), "");
  unregister_netdev(first);
  free_netdev(first);
}

TEST_F(KernelFreed, ADeviceThatWasNeverRegisteredIsNotFreedByAnUnregister) {
  struct net_device* dev = make(true);
  Reports reports;
  unregister_netdev(dev);
  EXPECT_EQ(reports.rules(), "unregister-unregistered");
  EXPECT_EQ(log.text, "");
  free_netdev(dev);
  EXPECT_EQ(log.text, "freed ");
}

TEST_F(KernelFreed, ItMayBeSetAndTakenBackUntilTheDeviceLeaves) {
  struct net_device* dev = registered(true);
  rtnl_lock();
  netdev_set_needs_free(dev, false);
  rtnl_unlock();
  unregister_netdev(dev);
  EXPECT_EQ(log.text, "stop uninit destructor ");
  free_netdev(dev);
}

}  // namespace
}  // namespace usernic::kernel_freed_test
