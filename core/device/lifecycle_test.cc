// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device's life: states, registration, open and close.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/listener.h"
#include "testing/unseen_by_clang.h"
#include "usernic/address_list.h"
#include "usernic/net_device.h"
#include "usernic/porting.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic {
namespace {

using LifecycleTest = NetDeviceTest;

// --- States ---

TEST_F(LifecycleTest, ADeviceGoesThroughItsStatesInOrder) {
  std::vector<RegState> states;
  const auto look = [&] { states.push_back(script.dev->reg_state()); };
  const auto look_in = [&]() -> Result<> { return look(), Result<>(); };
  script.init = look_in;
  script.open = look_in;
  script.stop = script.uninit = script.destroy = look;
  NetdevPtr dev = make();
  look();
  ASSERT_TRUE(dev->register_netdev());
  look();
  ASSERT_TRUE(dev->open());
  dev->unregister_netdev();
  look();
  dev.reset();
  using enum RegState;
  EXPECT_EQ(states, (std::vector{kUninitialized, kUninitialized, kRegistered, kRegistered, kRegistered, kUnregistering,
                                 kUnregistered, kReleased}));
  EXPECT_EQ(script.log, "init open stop uninit destroy");
}

TEST_F(LifecycleTest, ADeviceIsNotVisibleWhileItsInitRuns) {
  bool found = true;
  script.init = [&]() -> Result<> {
    found = static_cast<bool>(net.find("t0"));
    return {};
  };
  const NetdevPtr dev = registered();
  EXPECT_FALSE(found);
  EXPECT_TRUE(net.find("t0"));
}

TEST_F(LifecycleTest, BeforeRegistrationNoOperationReachesTheDriver) {
  const NetdevPtr dev = make();
  EXPECT_EQ(outcome(dev->open()), "ENODEV");
  EXPECT_EQ(outcome(dev->close()), "ENODEV");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENODEV");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ENODEV");
  EXPECT_EQ(outcome(dev->change_carrier(false)), "ENODEV");
  EXPECT_EQ(outcome(dev->detach()), "ENODEV");
  EXPECT_EQ(outcome(dev->attach()), "ENODEV");
  EXPECT_EQ(script.log, "");
}

TEST_F(LifecycleTest, ADeviceThatWasNeverRegisteredIsSimplyFreed) {
  make().reset();
  EXPECT_EQ(script.log, "destroy");
}

TEST_F(LifecycleTest, FreeingARegisteredDeviceUnregistersItFirst) {
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  dev.reset();
  EXPECT_EQ(script.log, "init open stop uninit destroy");
}

TEST_F(LifecycleTest, RegisteringTwiceIsReportedAndChangesNothing) {
  Reports reports;
  const NetdevPtr dev = registered();
  const std::string second = next_line();
  EXPECT_EQ(outcome(dev->register_netdev()), "EINVAL");
  ASSERT_EQ(reports.rules(), "register-twice");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_EQ(dev->reg_state(), RegState::kRegistered);
  EXPECT_EQ(script.log, "init");
  EXPECT_EQ(outcome(dev->open()), "ok");
}

TEST_F(LifecycleTest, RegisteringAgainAfterUnregisteringIsReported) {
  Reports reports;
  const NetdevPtr dev = registered();
  dev->unregister_netdev();
  EXPECT_EQ(outcome(dev->register_netdev()), "EINVAL");
  EXPECT_EQ(reports.rules(), "register-twice");
}

TEST_F(LifecycleTest, UnregisteringWhatIsNotRegisteredIsReported) {
  Reports reports;
  const NetdevPtr dev = make();
  dev->unregister_netdev();
  ASSERT_TRUE(dev->register_netdev());
  dev->unregister_netdev();
  dev->unregister_netdev();
  EXPECT_EQ(reports.rules(), "unregister-unregistered unregister-unregistered");
  EXPECT_EQ(script.log, "init uninit");
}

TEST_F(LifecycleTest, AFailingInitLeavesTheDeviceUnregisteredAndNothingToUndo) {
  script.init = [] { return refuse(std::errc::io_error); };
  Listener listener(net);
  NetdevPtr dev = make();
  EXPECT_EQ(outcome(dev->register_netdev()), "EIO");
  EXPECT_EQ(script.log, "init") << "uninit exactly if init succeeded";
  EXPECT_EQ(listener.heard, "");
  EXPECT_FALSE(net.find("t0"));
  EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
  EXPECT_EQ(outcome(dev->uc().add(kNeighbour)), "ENODEV");
  dev.reset();
  EXPECT_EQ(script.log, "init destroy");
}

TEST_F(LifecycleTest, InitRunsUnderTheNameThatTheDeviceWillHaveAndNobodyElseGetsIt) {
  std::string name_in_init;
  Script other;
  NetdevPtr nested = *net.alloc_netdev<ScriptDriver>({.name = "t%d"}, other);
  script.init = [&]() -> Result<> {
    name_in_init = script.dev->name();
    EXPECT_TRUE(net.devices().empty());
    return Porting::register_netdevice(*nested);
  };
  const NetdevPtr dev = registered("t%d");
  EXPECT_EQ(name_in_init, "t0");
  EXPECT_EQ(dev->name(), "t0");
  EXPECT_EQ(nested->name(), "t1");
}

TEST_F(LifecycleTest, ANameIsFreeAgainWhereverTheRegisterFailed) {
  Listener vetoer(net);
  vetoer.refuses = NetdevEvent::kRegister;
  EXPECT_EQ(outcome(make("t0")->register_netdev()), "EACCES");
  vetoer.refuses.reset();
  script.init = [] { return refuse(std::errc::io_error); };
  EXPECT_EQ(outcome(make("t0")->register_netdev()), "EIO");
  script.init = {};
  EXPECT_EQ(registered("t0")->name(), "t0");
}

TEST_F(LifecycleTest, ADeviceWhoseNameIsTakenIsGoneForItsLists) {
  const NetdevPtr first = registered("t0");
  const NetdevPtr second = make("t0");
  script.log.clear();
  EXPECT_EQ(outcome(second->register_netdev()), "EEXIST");
  EXPECT_EQ(script.log, "") << "the name is looked at before the driver hears anything";
  EXPECT_EQ(outcome(second->uc().add(kNeighbour)), "ENODEV");
  EXPECT_EQ(outcome(second->rx_mode().set_promiscuity(1)), "ENODEV");
}

TEST_F(LifecycleTest, AVetoAtRegistrationTakesTheWholeUnregisterPath) {
  Listener first(net), vetoer(net), last(net);
  vetoer.refuses = NetdevEvent::kRegister;
  RegState at_unregister{};
  first.on_event = [&](NetdevEvent event, NetDevice& dev) {
    if (event == NetdevEvent::kUnregister) at_unregister = dev.reg_state();
  };
  NetdevPtr dev = make();
  EXPECT_EQ(outcome(dev->register_netdev()), "EACCES");
  EXPECT_EQ(first.heard, "register unregister");
  EXPECT_EQ(at_unregister, RegState::kUnregistering);
  EXPECT_EQ(script.log, "init uninit") << "the driver is the caller's to free";
  EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
  EXPECT_FALSE(net.find("t0"));
  EXPECT_EQ(outcome(dev->uc().add(kNeighbour)), "ENODEV");
  EXPECT_EQ(outcome(dev->open()), "ENODEV");
  vetoer.refuses.reset();
  EXPECT_EQ(registered("t0")->name(), "t0") << "the name is free";
}

TEST_F(LifecycleTest, AVetoAtRegistrationWaitsForReferencesLikeUnregister) {
  Listener vetoer(net);
  vetoer.refuses = NetdevEvent::kRegister;
  std::optional<DeviceRef> ref;
  Event held, returned;
  vetoer.on_event = [&](NetdevEvent event, NetDevice& dev) {
    if (event != NetdevEvent::kRegister) return;
    ref.emplace(dev, "vetoer");
    held.set();
  };
  NetdevPtr dev = make();
  Thread registrar("registrar", [&] {
    EXPECT_EQ(outcome(dev->register_netdev()), "EACCES");
    returned.set();
  });
  ASSERT_TRUE(held.wait());
  EXPECT_TRUE(returned.stays_away());
  ref.reset();
  EXPECT_TRUE(returned.wait());
}

// --- Open and close ---

TEST_F(LifecycleTest, RunningIsTrueWithinOpenAndFalseWithinStop) {
  bool in_open = false, in_stop = true;
  script.open = [&]() -> Result<> {
    in_open = script.dev->running();
    return {};
  };
  script.stop = [&] { in_stop = script.dev->running(); };
  const NetdevPtr dev = registered();
  EXPECT_FALSE(dev->running());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(dev->running());
  ASSERT_TRUE(dev->close());
  EXPECT_FALSE(dev->running());
  EXPECT_TRUE(in_open);
  EXPECT_FALSE(in_stop);
}

TEST_F(LifecycleTest, OpeningAnOpenDeviceAndClosingAClosedOneIsNoError) {
  const NetdevPtr dev = registered();
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(script.log, "init open stop");
}

TEST_F(LifecycleTest, AFailingOpenLeavesTheDeviceDown) {
  Listener listener(net);
  const NetdevPtr dev = registered();
  script.open = [] { return refuse(std::errc::io_error); };
  EXPECT_EQ(outcome(dev->open()), "EIO");
  EXPECT_FALSE(dev->running());
  EXPECT_FALSE(dev->rx_mode().status().up);
  EXPECT_EQ(script.log, "init open") << "no stop for what did not open";
  EXPECT_EQ(listener.heard, "register pre-up");
  script.open = {};
  EXPECT_EQ(outcome(dev->open()), "ok");
}

TEST_F(LifecycleTest, AFailedOpenLeavesNoQueueStarted) {
  // Else the next open would let frames into the driver before its rings are ready.
  const NetdevPtr dev = registered();
  script.open = [] { return refuse(std::errc::io_error); };  // after the queues were started
  EXPECT_EQ(outcome(dev->open()), "EIO");
  EXPECT_TRUE(dev->tx_queue(0).stopped());
  EXPECT_TRUE(dev->tx_queue(1).stopped());
}

TEST_F(LifecycleTest, OpenStopAndTheirLikeRunUnderRtnlInProcessContext) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  int calls = 0;
  const auto check = [&] {
    net.rtnl().assert_held();
    might_sleep();
    ++calls;
  };
  const auto check_in = [&]() -> Result<> { return check(), Result<>(); };
  script.init = script.open = script.change_mtu = script.set_mac = script.change_carrier = check_in;
  script.stop = script.uninit = check;
  const NetdevPtr dev = registered();
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ok");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ok");
  EXPECT_EQ(outcome(dev->change_carrier(false)), "ok");
  dev->unregister_netdev();
  EXPECT_EQ(calls, 7);
}

TEST_F(LifecycleTest, AnOperationUnderRtnlIsReported) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const NetdevPtr dev = registered();
  Reports reports;
  net.rtnl().lock();
  reports.on_report = [&] {
    if (net.rtnl().held_by_me()) net.rtnl().unlock();
  };
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(reports.rules(), "wait-under-lock");
}

TEST_F(LifecycleTest, AnItemOfTheLaneMayOperateItsDevice) {
  const NetdevPtr dev = registered();
  std::string outcomes;
  Work wish([&] {
    for (const Result<>& result : {dev->open(), dev->change_mtu(1400), dev->set_mac_address(kOtherMac),
                                   dev->change_carrier(false), dev->detach(), dev->attach(), dev->close()}) {
      outcomes += outcome(result) + " ";
    }
  });
  dev->lane().queue(wish);
  wish.flush();
  EXPECT_EQ(outcomes, "ok ok ok ok ok ok ok ");
}

TEST_F(LifecycleTest, UnregisterClosesADeviceThatIsOpen) {
  Listener listener(net);
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  dev->unregister_netdev();
  EXPECT_EQ(listener.heard, "register pre-up up going-down down unregister");
  EXPECT_FALSE(dev->running());
  EXPECT_FALSE(net.find("t0"));
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
