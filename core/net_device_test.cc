// SPDX-License-Identifier: Apache-2.0
#include "usernic/net_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "core/test_watch.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/notifier.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr MacAddress kMac = MacAddress::from_u64(0x0200'0000'0001);
constexpr MacAddress kOtherMac = MacAddress::from_u64(0x0200'0000'0002);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
constexpr MacAddress kNeighbour = MacAddress::from_u64(0x0200'0000'0099);

// What the driver of a test does and saw.
struct Script {
  std::string log;  // "init open stop uninit destroy"; under rtnl
  std::function<Result<>()> init, open, change_mtu, set_mac;
  std::function<void()> stop, uninit, destroy;
  std::function<void(LinkStats&)> get_stats;
  NetDevice* dev = nullptr;

  Result<> step(const char* what, const std::function<Result<>()>& does) {
    note(what);
    return does ? does() : Result<>();
  }
  void note(const char* what) { log += (log.empty() ? "" : " ") + std::string(what); }
};

class ScriptDriver {
 public:
  ScriptDriver(NetDevice& dev, Script& script) : dev_(dev), script_(script) { script.dev = &dev; }
  ~ScriptDriver() {
    script_.note("destroy");
    if (script_.destroy) script_.destroy();
  }
  Result<> init() { return script_.step("init", script_.init); }
  void uninit() {
    script_.note("uninit");
    if (script_.uninit) script_.uninit();
  }
  Result<> open() {
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return script_.step("open", script_.open);
  }
  void stop() {
    script_.note("stop");
    if (script_.stop) script_.stop();
  }
  Result<> change_mtu(uint32_t) { return script_.step("mtu", script_.change_mtu); }
  Result<> set_mac_address(const MacAddress&) { return script_.step("mac", script_.set_mac); }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 4, .multicast_slots = 4}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING {
    if (script_.get_stats) script_.get_stats(stats);
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }

 private:
  NetDevice& dev_;
  Script& script_;
};

class PlainDriver {
 public:
  explicit PlainDriver(NetDevice&) {}
  Result<> open() { return {}; }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
};

struct NetDeviceTest : testing::Test {
  Net net;
  Script script;

  NetdevPtr make(const std::string& name = "t0") {
    return *net.alloc_netdev<ScriptDriver>({.name = name, .address = kMac, .tx_queues = 2}, script);
  }
  NetdevPtr registered(const std::string& name = "t0") {
    NetdevPtr dev = make(name);
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    return dev;
  }
  std::string result_of_alloc(const NetdevConfig& config) {
    return outcome(net.alloc_netdev<ScriptDriver>(config, script));
  }
};

Result<> refuse(std::errc error) {
  return fail(error);
}

std::string_view event_name(NetdevEvent event) {
  static constexpr const char* kNames[] = {"register", "unregister", "pre-up", "up",       "going-down",
                                           "down",     "pre-mtu",    "mtu",    "pre-addr", "addr"};
  return kNames[static_cast<size_t>(event)];
}

// Writes down what a notifier hears, and refuses what it is told to refuse.
struct Listener {
  std::string heard;
  std::optional<NetdevEvent> refuses;
  std::function<void(NetdevEvent, NetDevice&)> on_event;
  Notifier notifier;

  explicit Listener(Net& net)
      : notifier(net, [this](NetdevEvent event, NetDevice& dev) -> Result<> {
          heard += (heard.empty() ? "" : " ") + std::string(event_name(event));
          if (on_event) on_event(event, dev);
          return refuses == event ? fail(std::errc::permission_denied) : Result<>();
        }) {}
};

// --- Names ---

TEST_F(NetDeviceTest, PercentDBecomesTheFirstFreeNumber) {
  NetdevPtr a = registered("nic%d"), b = registered("nic%d"), c = registered("nic%d");
  EXPECT_EQ(a->name(), "nic0");
  EXPECT_EQ(b->name(), "nic1");
  EXPECT_EQ(c->name(), "nic2");
  b.reset();
  EXPECT_EQ(registered("nic%d")->name(), "nic1") << "the number that became free";
  EXPECT_EQ(registered("a%db")->name(), "a0b");
}

TEST_F(NetDeviceTest, ANameInUseIsRefusedAndTheDriverUndone) {
  const NetdevPtr first = registered("t0");
  script.log.clear();
  NetdevPtr second = make("t0");
  EXPECT_EQ(outcome(second->register_netdev()), "EEXIST");
  EXPECT_EQ(script.log, "init uninit");
  EXPECT_EQ(second->reg_state(), RegState::kUnregistered);
  EXPECT_EQ(net.find("t0").get(), first.get());
  EXPECT_EQ(outcome(first->open()), "ok") << "the first is not touched";
}

TEST_F(NetDeviceTest, AnUnregisteredNameIsFreeAgain) {
  registered("t0").reset();
  EXPECT_EQ(registered("t0")->name(), "t0");
}

TEST_F(NetDeviceTest, BadNamesAreRefused) {
  for (const char* name :
       {"", "sixteen-letters-", "a/b", "a:b", "a b", "a\tb", "a\nb", ".", "..", "nic%s", "a%", "a%d%d"}) {
    EXPECT_EQ(result_of_alloc({.name = name}), "EINVAL") << '"' << name << '"';
  }
  for (const char* name : {"fifteen-letters", "a", "a.b", "Nic-1_x"}) {
    EXPECT_EQ(result_of_alloc({.name = name}), "ok") << '"' << name << '"';
  }
}

TEST_F(NetDeviceTest, ANumberMakesNoNameLongerThanAllowed) {
  std::vector<NetdevPtr> devices;
  for (int i = 0; i < 10; ++i) devices.push_back(registered("fourteen-abc%d"));
  EXPECT_EQ(devices.back()->name().size(), 13u);
  std::vector<NetdevPtr> full;
  for (int i = 0; i < 10; ++i) full.push_back(registered("fourteen-abcd%d"));
  for (int i = 10; i < 100; ++i) full.push_back(registered("fourteen-abcd%d"));
  EXPECT_EQ(full.back()->name().size(), 15u);
  NetdevPtr one_too_many = make("fourteen-abcd%d");
  EXPECT_EQ(outcome(one_too_many->register_netdev()), "EEXIST");
}

TEST_F(NetDeviceTest, ImpossibleConfigurationsAreRefused) {
  EXPECT_EQ(result_of_alloc({.mtu = 67}), "EINVAL");
  EXPECT_EQ(result_of_alloc({.mtu = 9001}), "EINVAL");
  EXPECT_EQ(result_of_alloc({.address = kGroup}), "EINVAL");
  EXPECT_EQ(result_of_alloc({.tx_queues = 0}), "EINVAL");
}

TEST_F(NetDeviceTest, WithoutAnAddressADeviceGetsARandomLocalOne) {
  const NetdevPtr a = *net.alloc_netdev<ScriptDriver>({}, script);
  const NetdevPtr b = *net.alloc_netdev<ScriptDriver>({}, script);
  EXPECT_TRUE(a->address().is_valid_own());
  EXPECT_EQ(a->address().octets[0] & 2, 2) << "locally administered";
  EXPECT_NE(a->address(), b->address());
}

TEST_F(NetDeviceTest, TheNameMayBeAskedForInAnyContext) {
  const NetdevPtr dev = registered("t0");
  const BhScope bh;
  EXPECT_EQ(dev->name(), "t0");
}

TEST_F(NetDeviceTest, FindAndDevicesShowWhatIsRegistered) {
  NetdevPtr b = registered("b"), a = registered("a");
  const NetdevPtr hidden = make("c");
  EXPECT_EQ(net.find("a").get(), a.get());
  EXPECT_FALSE(net.find("c"));
  std::string names;
  for (const DeviceHandle& dev : net.devices()) names += dev->name();
  EXPECT_EQ(names, "ab") << "by name";
  a.reset();
  EXPECT_FALSE(net.find("a"));
}

TEST_F(NetDeviceTest, TwoNetsInOneProcessDoNotKnowOfEachOther) {
  Net other;
  Script other_script;
  Listener listener(net), other_listener(other);
  const NetdevPtr mine = registered("t0");
  const NetdevPtr theirs = *other.alloc_netdev<ScriptDriver>({.name = "t0"}, other_script);
  EXPECT_EQ(outcome(theirs->register_netdev()), "ok");
  EXPECT_EQ(net.find("t0").get(), mine.get());
  EXPECT_EQ(other.find("t0").get(), theirs.get());
  EXPECT_EQ(&theirs->net(), &other);
  const MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(other_listener.heard, "register");
  Thread("other", [&] { EXPECT_EQ(outcome(theirs->open()), "ok"); }).join();  // not held up by this Net's rtnl
  EXPECT_EQ(other_listener.heard, "register pre-up up");
  EXPECT_EQ(listener.heard, "register");
  EXPECT_FALSE(mine->running());
}

// --- States ---

TEST_F(NetDeviceTest, ADeviceGoesThroughItsStatesInOrder) {
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

TEST_F(NetDeviceTest, ADeviceIsNotVisibleWhileItsInitRuns) {
  bool found = true;
  script.init = [&]() -> Result<> {
    found = static_cast<bool>(net.find("t0"));
    return {};
  };
  const NetdevPtr dev = registered();
  EXPECT_FALSE(found);
  EXPECT_TRUE(net.find("t0"));
}

TEST_F(NetDeviceTest, BeforeRegistrationNoOperationReachesTheDriver) {
  const NetdevPtr dev = make();
  EXPECT_EQ(outcome(dev->open()), "ENODEV");
  EXPECT_EQ(outcome(dev->close()), "ENODEV");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENODEV");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ENODEV");
  EXPECT_EQ(outcome(dev->detach()), "ENODEV");
  EXPECT_EQ(outcome(dev->attach()), "ENODEV");
  EXPECT_EQ(script.log, "");
}

TEST_F(NetDeviceTest, ADeviceThatWasNeverRegisteredIsSimplyFreed) {
  make().reset();
  EXPECT_EQ(script.log, "destroy");
}

TEST_F(NetDeviceTest, FreeingARegisteredDeviceUnregistersItFirst) {
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  dev.reset();
  EXPECT_EQ(script.log, "init open stop uninit destroy");
}

TEST_F(NetDeviceTest, RegisteringTwiceIsReportedAndChangesNothing) {
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

TEST_F(NetDeviceTest, RegisteringAgainAfterUnregisteringIsReported) {
  Reports reports;
  const NetdevPtr dev = registered();
  dev->unregister_netdev();
  EXPECT_EQ(outcome(dev->register_netdev()), "EINVAL");
  EXPECT_EQ(reports.rules(), "register-twice");
}

TEST_F(NetDeviceTest, UnregisteringWhatIsNotRegisteredIsReported) {
  Reports reports;
  const NetdevPtr dev = make();
  dev->unregister_netdev();
  ASSERT_TRUE(dev->register_netdev());
  dev->unregister_netdev();
  dev->unregister_netdev();
  EXPECT_EQ(reports.rules(), "unregister-unregistered unregister-unregistered");
  EXPECT_EQ(script.log, "init uninit");
}

TEST_F(NetDeviceTest, AFailingInitLeavesTheDeviceUnregisteredAndNothingToUndo) {
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

TEST_F(NetDeviceTest, ADeviceWhoseNameIsTakenIsGoneForItsLists) {
  const NetdevPtr first = registered("t0");
  const NetdevPtr second = make("t0");
  EXPECT_EQ(outcome(second->register_netdev()), "EEXIST");
  EXPECT_EQ(outcome(second->uc().add(kNeighbour)), "ENODEV");
  EXPECT_EQ(outcome(second->rx_mode().set_promiscuity(1)), "ENODEV");
}

TEST_F(NetDeviceTest, AVetoAtRegistrationTakesTheWholeUnregisterPath) {
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

TEST_F(NetDeviceTest, AVetoAtRegistrationWaitsForReferencesLikeUnregister) {
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

TEST_F(NetDeviceTest, RunningIsTrueWithinOpenAndFalseWithinStop) {
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

TEST_F(NetDeviceTest, OpeningAnOpenDeviceAndClosingAClosedOneIsNoError) {
  const NetdevPtr dev = registered();
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(script.log, "init open stop");
}

TEST_F(NetDeviceTest, AFailingOpenLeavesTheDeviceDown) {
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

TEST_F(NetDeviceTest, AFailedOpenLeavesNoQueueStarted) {
  // Else the next open would let frames into the driver before its rings are ready.
  const NetdevPtr dev = registered();
  script.open = [] { return refuse(std::errc::io_error); };  // after the queues were started
  EXPECT_EQ(outcome(dev->open()), "EIO");
  EXPECT_TRUE(dev->tx_queue(0).stopped());
  EXPECT_TRUE(dev->tx_queue(1).stopped());
}

TEST_F(NetDeviceTest, OpenStopAndTheirLikeRunUnderRtnlInProcessContext) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  int calls = 0;
  const auto check = [&] {
    net.rtnl().assert_held();
    might_sleep();
    ++calls;
  };
  const auto check_in = [&]() -> Result<> { return check(), Result<>(); };
  script.init = script.open = script.change_mtu = script.set_mac = check_in;
  script.stop = script.uninit = check;
  const NetdevPtr dev = registered();
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ok");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ok");
  dev->unregister_netdev();
  EXPECT_EQ(calls, 6);
}

TEST_F(NetDeviceTest, AnOperationUnderRtnlIsReported) {
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

TEST_F(NetDeviceTest, AnItemOfTheLaneMayOperateItsDevice) {
  const NetdevPtr dev = registered();
  std::string outcomes;
  Work wish([&] {
    for (const Result<>& result : {dev->open(), dev->change_mtu(1400), dev->set_mac_address(kOtherMac), dev->detach(),
                                   dev->attach(), dev->close()}) {
      outcomes += outcome(result) + " ";
    }
  });
  dev->lane().queue(wish);
  wish.flush();
  EXPECT_EQ(outcomes, "ok ok ok ok ok ok ");
}

TEST_F(NetDeviceTest, UnregisterClosesADeviceThatIsOpen) {
  Listener listener(net);
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  dev->unregister_netdev();
  EXPECT_EQ(listener.heard, "register pre-up up going-down down unregister");
  EXPECT_FALSE(dev->running());
  EXPECT_FALSE(net.find("t0"));
}

// --- MTU and address ---

TEST_F(NetDeviceTest, TheMtuChangesWithinItsLimits) {
  const NetdevPtr dev = registered();
  EXPECT_EQ(dev->mtu(), 1500u);
  EXPECT_EQ(outcome(dev->change_mtu(dev->mtu_max())), "ok");
  EXPECT_EQ(outcome(dev->change_mtu(dev->mtu_min())), "ok");
  EXPECT_EQ(dev->mtu(), 68u);
  EXPECT_EQ(outcome(dev->change_mtu(67)), "EINVAL");
  EXPECT_EQ(outcome(dev->change_mtu(9001)), "EINVAL");
  EXPECT_EQ(dev->mtu(), 68u);
  script.log.clear();
  EXPECT_EQ(outcome(dev->change_mtu(68)), "ok");
  EXPECT_EQ(script.log, "") << "no change, no call";
}

TEST_F(NetDeviceTest, ADriverThatRefusesAnMtuOrAddressLeavesTheOld) {
  Listener listener(net);
  const NetdevPtr dev = registered();
  script.change_mtu = script.set_mac = [] { return refuse(std::errc::device_or_resource_busy); };
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "EBUSY");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EBUSY");
  EXPECT_EQ(dev->mtu(), 1500u);
  EXPECT_EQ(dev->address(), kMac);
  EXPECT_EQ(dev->rx_mode().status().own_address, kMac);
  EXPECT_EQ(listener.heard, "register pre-mtu pre-addr");
}

TEST_F(NetDeviceTest, TheAddressChangesForDeviceAndFilter) {
  const NetdevPtr dev = registered();
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ok");
  EXPECT_EQ(dev->address(), kOtherMac);
  EXPECT_EQ(dev->rx_mode().status().own_address, kOtherMac);
  EXPECT_EQ(outcome(dev->set_mac_address(kGroup)), "EADDRNOTAVAIL");
  EXPECT_EQ(outcome(dev->set_mac_address({})), "EADDRNOTAVAIL");
  EXPECT_EQ(dev->address(), kOtherMac);
}

TEST_F(NetDeviceTest, WithoutTheOpAnyMtuIsFineAndNoAddress) {
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "p0", .address = kMac});
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ok");
  EXPECT_EQ(dev->mtu(), 1400u);
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EOPNOTSUPP");
}

// --- Notifiers ---

TEST_F(NetDeviceTest, ANotifierHearsOfEverything) {
  Listener listener(net);
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->change_mtu(1400));
  ASSERT_TRUE(dev->set_mac_address(kOtherMac));
  ASSERT_TRUE(dev->close());
  dev.reset();
  EXPECT_EQ(listener.heard, "register pre-up up pre-mtu mtu pre-addr addr going-down down unregister");
}

TEST_F(NetDeviceTest, ANotifierIsToldOfTheDevicesThatAreThere) {
  const NetdevPtr up = registered("up"), down = registered("down");
  ASSERT_TRUE(up->open());
  std::string heard;
  const Notifier notifier(net, [&](NetdevEvent event, NetDevice& dev) -> Result<> {
    heard += fmt::format("{}:{} ", dev.name(), event_name(event));
    return {};
  });
  EXPECT_EQ(heard, "down:register up:register up:up ");
}

TEST_F(NetDeviceTest, ANotifierThatIsGoneHearsNothing) {
  std::string heard;
  {
    Listener listener(net);
    listener.on_event = [&](NetdevEvent, NetDevice&) { heard += "x"; };
  }
  const NetdevPtr dev = registered();
  EXPECT_EQ(heard, "");
}

TEST_F(NetDeviceTest, AVetoEndsUpMtuAndAddressBeforeTheDriverIsAsked) {
  Listener first(net), vetoer(net), last(net);
  const NetdevPtr dev = registered();
  script.log.clear();
  first.heard = last.heard = "";
  vetoer.refuses = NetdevEvent::kPreUp;
  EXPECT_EQ(outcome(dev->open()), "EACCES");
  EXPECT_FALSE(dev->running());
  vetoer.refuses = NetdevEvent::kPreChangeMtu;
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "EACCES");
  EXPECT_EQ(dev->mtu(), 1500u);
  vetoer.refuses = NetdevEvent::kPreChangeAddr;
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EACCES");
  EXPECT_EQ(dev->address(), kMac);
  EXPECT_EQ(script.log, "");
  EXPECT_EQ(first.heard, "pre-up pre-mtu pre-addr");
  EXPECT_EQ(last.heard, "") << "the first refusal ends it";
}

TEST_F(NetDeviceTest, WhatHasHappenedCannotBeRefused) {
  Listener listener(net);
  const NetdevPtr dev = registered();
  for (const NetdevEvent event : {NetdevEvent::kUp, NetdevEvent::kChangeMtu, NetdevEvent::kChangeAddr,
                                  NetdevEvent::kGoingDown, NetdevEvent::kDown, NetdevEvent::kUnregister}) {
    listener.refuses = event;
    EXPECT_EQ(outcome(dev->open()), "ok");
    EXPECT_EQ(outcome(dev->change_mtu(dev->mtu() - 1)), "ok");
    EXPECT_EQ(outcome(dev->set_mac_address(MacAddress::from_u64(dev->address().to_u64() + 1))), "ok");
    EXPECT_EQ(outcome(dev->close()), "ok");
  }
}

// --- References and handles ---

TEST_F(NetDeviceTest, TheTrackerNamesWhoHoldsAReference) {
  const NetdevPtr dev = registered();
  EXPECT_TRUE(dev->ref_holders().empty());
  const std::string taken = next_line();
  DeviceRef ref(*dev, "a route");
  DeviceRef second(*dev, "a neighbour");
  const std::vector<std::string> holders = dev->ref_holders();
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_TRUE(holders[0].starts_with("a route (") && holders[0].ends_with(taken + ")")) << holders[0];
  EXPECT_TRUE(holders[1].starts_with("a neighbour (")) << holders[1];
  ref.put();
  ref.put();
  EXPECT_EQ(dev->ref_holders().size(), 1u);
}

TEST_F(NetDeviceTest, AMovedReferenceIsStillOne) {
  const NetdevPtr dev = registered();
  DeviceRef ref(*dev, "a route");
  DeviceRef moved(std::move(ref));
  EXPECT_FALSE(ref);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.get(), dev.get());
  EXPECT_EQ(dev->ref_holders().size(), 1u);
  DeviceRef other(*dev, "another");
  other = std::move(moved);
  ASSERT_EQ(dev->ref_holders().size(), 1u) << "what it held before was put";
  EXPECT_TRUE(dev->ref_holders()[0].starts_with("a route"));
}

TEST_F(NetDeviceTest, UnregisterSleepsUntilTheLastReferenceIsGone) {
  const NetdevPtr dev = registered();
  std::optional<DeviceRef> first(std::in_place, *dev, "first"), second(std::in_place, *dev, "second");
  Event unregistered;
  Thread remover("remover", [&] {
    dev->unregister_netdev();
    unregistered.set();
  });
  EXPECT_TRUE(unregistered.stays_away());
  EXPECT_EQ(dev->reg_state(), RegState::kUnregistering);
  EXPECT_FALSE(net.find("t0")) << "out of sight already";
  NetdevPtr successor = registered("t0");
  EXPECT_EQ(outcome(successor->open()), "ok") << "and nobody else waits";
  first.reset();
  EXPECT_TRUE(unregistered.stays_away());
  second.reset();
  EXPECT_TRUE(unregistered.wait());
  EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
}

TEST_F(NetDeviceTest, ADeviceThatIsGoneAnswersEnodevToEverything) {
  struct NoPort final : DevicePort {
    void receive(SkbBatch&) noexcept override {}
    void tx_wake(TxQueue&) noexcept override {}
    void carrier_changed(bool) noexcept override {}
  } port;
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->uc().add(kNeighbour));
  ASSERT_TRUE(dev->mc().add_global(kGroup));
  const RxTicket ticket = dev->rx_mode().ticket(kNeighbour);
  const NetdevPtr lower = registered("lower");
  ASSERT_TRUE(sync(lower->uc(), dev->uc()));
  ASSERT_TRUE(sync(dev->mc(), lower->mc()));
  const DeviceHandle handle(*dev);
  dev->unregister_netdev();
  for (const bool freed : {false, true}) {
    SCOPED_TRACE(freed ? "freed" : "unregistered");
    if (freed) dev.reset();
    script.log.clear();
    EXPECT_EQ(handle->reg_state(), freed ? RegState::kReleased : RegState::kUnregistered);
    EXPECT_EQ(outcome(handle->open()), "ENODEV");
    EXPECT_EQ(outcome(handle->close()), "ENODEV");
    EXPECT_EQ(outcome(handle->change_mtu(1400)), "ENODEV");
    EXPECT_EQ(outcome(handle->change_mtu(handle->mtu())), "ENODEV");
    EXPECT_EQ(outcome(handle->change_mtu(1)), "ENODEV");
    EXPECT_EQ(outcome(handle->set_mac_address(kOtherMac)), "ENODEV");
    EXPECT_EQ(outcome(handle->set_mac_address(kGroup)), "ENODEV");
    EXPECT_EQ(outcome(handle->detach()), "ENODEV");
    EXPECT_EQ(outcome(handle->attach()), "ENODEV");
    EXPECT_EQ(outcome(handle->attach_port(port)), "ENODEV");
    handle->detach_port();
    for (AddressList* list : {&handle->uc(), &handle->mc()}) {
      const MacAddress address = list == &handle->uc() ? kNeighbour : kGroup;
      EXPECT_EQ(outcome(list->add(address)), "ENODEV");
      EXPECT_EQ(outcome(list->add_excl(address)), "ENODEV");
      EXPECT_EQ(outcome(list->add_global(address)), "ENODEV");
      EXPECT_EQ(outcome(list->del(address)), "ENODEV");
      EXPECT_EQ(outcome(list->del_global(address)), "ENODEV");
      EXPECT_EQ(outcome(list->flush()), "ENODEV");
      (void)list->snapshot();
      (void)list->size();
      (void)list->references(address);
    }
    EXPECT_EQ(outcome(sync(handle->mc(), lower->mc())), "ENODEV");
    RxMode& mode = handle->rx_mode();
    EXPECT_EQ(outcome(mode.set_promiscuity(1)), "ENODEV");
    EXPECT_EQ(outcome(mode.set_allmulti(1)), "ENODEV");
    EXPECT_EQ(outcome(mode.set_vlan_filter(true)), "ENODEV");
    EXPECT_EQ(outcome(mode.vlan_add(1)), "ENODEV");
    EXPECT_EQ(outcome(mode.vlan_del(1)), "ENODEV");
    EXPECT_EQ(outcome(mode.wait(ticket, soon())), "ENODEV");
    EXPECT_EQ(outcome(mode.settle(soon())), "ENODEV");
    EXPECT_FALSE(mode.covered(kNeighbour));
    mode.card_forgot();
    EXPECT_FALSE(mode.status().up);
    // What cannot fail still answers.
    handle->carrier_off();
    handle->carrier_on();
    EXPECT_FALSE(handle->running());
    EXPECT_EQ(handle->name(), "t0");
    EXPECT_EQ(handle->stats().rx_packets, 0u);
    EXPECT_TRUE(handle->ref_holders().empty());
    SkbPool pool(1, 64);
    SkbBatch frames;
    pool.alloc(frames, 1);
    handle->xmit(handle->tx_queue(0), frames);
    EXPECT_TRUE(frames.empty());
    EXPECT_EQ(script.log, "") << "and nothing reaches the driver";
  }
  unsync(lower->uc(), handle->uc());
  EXPECT_EQ(handle->driver(), nullptr);
}

TEST_F(NetDeviceTest, ATicketAndASettleThatWaitEndWithTheDevice) {
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  std::string waited;
  Event about_to_wait;
  const Time deadline = Clock::now() + hours(1);
  ASSERT_TRUE(dev->detach());  // so that nothing is programmed
  ASSERT_TRUE(dev->uc().add(kNeighbour));
  Thread waiter("waiter", [&] {
    about_to_wait.set();
    waited = outcome(dev->rx_mode().wait(dev->rx_mode().ticket(kNeighbour), deadline));
  });
  ASSERT_TRUE(about_to_wait.wait());
  dev->unregister_netdev();
  waiter.join();
  EXPECT_TRUE(waited == "ENODEV" || waited == "ENETDOWN") << waited;
}

TEST_F(NetDeviceTest, AHandleIsNoReference) {
  NetdevPtr dev = registered();
  DeviceHandle handle(*dev);
  const DeviceHandle copy = handle;
  DeviceHandle moved = std::move(handle);
  EXPECT_FALSE(handle);  // NOLINT(bugprone-use-after-move)
  moved = copy;
  EXPECT_TRUE(dev->ref_holders().empty());
  dev.reset();  // does not wait
  EXPECT_EQ(moved->reg_state(), RegState::kReleased);
  EXPECT_EQ(copy.get(), moved.get());
}

TEST_F(NetDeviceTest, ANetDestroyedBeforeItsLastHandleIsReported) {
  // A handle keeps the device's memory, and that memory speaks of its Net.
  Reports reports;
  DeviceHandle handle;
  {
    Net short_lived;
    Script its_script;
    NetdevPtr dev = *short_lived.alloc_netdev<ScriptDriver>({.name = "t0"}, its_script);
    handle = DeviceHandle(*dev);
    reports.on_report = [&] { handle = DeviceHandle(); };
  }
  EXPECT_EQ(reports.rules(), "net-freed");
}

// --- Statistics ---

TEST_F(NetDeviceTest, StatisticsAreFoldedFromQueuesInstancesAndTheDriver) {
  const NetdevPtr dev = registered();
  dev->tx_queue(0).counters.add(1, 100);
  dev->tx_queue(1).counters.add(2, 200);
  dev->tx_queue(1).counters.drop(3);
  script.get_stats = [](LinkStats& stats) { stats.rx_errors += 5, stats.rx_dropped += 1; };
  struct NoPoll {
    int poll(Napi& napi, int) noexcept { return napi.complete_done(0), 0; }
  } no_poll;
  {
    Napi first(*dev, no_poll), second(*dev, no_poll);
    first.counters.add(10, 1000);
    second.counters.add(20, 2000);
    second.counters.drop(4);
    EXPECT_EQ(dev->stats().rx_packets, 30u);
  }
  const LinkStats stats = dev->stats();
  EXPECT_EQ(stats.rx_packets, 30u) << "what freed instances had counted stays";
  EXPECT_EQ(stats.rx_bytes, 3000u);
  EXPECT_EQ(stats.rx_dropped, 5u);
  EXPECT_EQ(stats.rx_errors, 5u);
  EXPECT_EQ(stats.tx_packets, 3u);
  EXPECT_EQ(stats.tx_bytes, 300u);
  EXPECT_EQ(stats.tx_dropped, 3u);
}

TEST_F(NetDeviceTest, GetStatsRunsInAtomicContext) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Context seen = Context::kProcess;
  script.get_stats = [&](LinkStats&) { seen = current_context(); };
  const NetdevPtr dev = registered();
  (void)dev->stats();
  EXPECT_EQ(seen, Context::kBhDisabled);
}

TEST_F(NetDeviceTest, TheDriverOutlivesAReaderOfItsStatistics) {
  Event reading, go_on, freed;
  bool destroyed_meanwhile = false;
  Atomic<bool> destroyed{false};
  script.destroy = [&] { destroyed.store(true); };
  script.get_stats = [&](LinkStats&) {
    reading.set();
    go_on.wait();
    destroyed_meanwhile = destroyed.load();
  };
  NetdevPtr dev = registered();
  const DeviceHandle handle(*dev);
  Thread reader("reader", [&] { (void)handle->stats(); });
  ASSERT_TRUE(reading.wait());
  Thread remover("remover", [&] {
    dev.reset();
    freed.set();
  });
  EXPECT_TRUE(freed.stays_away());
  go_on.set();
  reader.join();
  EXPECT_TRUE(freed.wait());
  EXPECT_FALSE(destroyed_meanwhile);
}

// --- Ports, carrier, detach ---

struct RecordingPort final : DevicePort {
  Event received, woken;
  std::vector<bool> carrier;  // by the one thread that changes it
  Atomic<bool> attached{false};
  Atomic<bool> called_while_detached{false};
  Event* in_receive = nullptr;
  Event* leave_receive = nullptr;

  void check() noexcept {
    if (!attached.load()) called_while_detached.store(true);
  }
  void receive(SkbBatch&) noexcept override {
    check();
    if (in_receive != nullptr) {
      in_receive->set();
      leave_receive->wait();
      check();
    }
    received.set();
  }
  void tx_wake(TxQueue&) noexcept override {
    check();
    woken.set();
  }
  void carrier_changed(bool on) noexcept override {
    check();
    carrier.push_back(on);
  }
};

TEST_F(NetDeviceTest, ThePortHearsOfCarrierChangesAndOnlyOfChanges) {
  const NetdevPtr dev = registered();
  RecordingPort port;
  port.attached.store(true);
  EXPECT_TRUE(dev->carrier_ok()) << "a driver that knows no link has one";
  dev->carrier_off();
  ASSERT_TRUE(dev->attach_port(port));
  EXPECT_FALSE(dev->carrier_ok());
  dev->carrier_off();
  dev->carrier_on();
  dev->carrier_on();
  dev->carrier_off();
  EXPECT_EQ(port.carrier, (std::vector<bool>{true, false}));
  dev->detach_port();
  dev->carrier_on();
  EXPECT_EQ(port.carrier.size(), 2u);
}

TEST_F(NetDeviceTest, CarrierMayChangeInAnyContext) {
  const NetdevPtr dev = registered();
  RecordingPort port;
  port.attached.store(true);
  ASSERT_TRUE(dev->attach_port(port));
  {
    const HardIrqScope irq;
    dev->carrier_off();
  }
  EXPECT_FALSE(dev->carrier_ok());
  dev->detach_port();
}

TEST_F(NetDeviceTest, ADeviceHasOnePort) {
  const NetdevPtr dev = registered();
  RecordingPort port, second;
  ASSERT_TRUE(dev->attach_port(port));
  EXPECT_EQ(outcome(dev->attach_port(second)), "EBUSY");
  dev->detach_port();
  dev->detach_port();
  EXPECT_EQ(outcome(dev->attach_port(second)), "ok");
  dev->detach_port();
}

TEST_F(NetDeviceTest, DetachPortWaitsForWhoeverIsInThePort) {
  const NetdevPtr dev = registered();
  Event in_receive, leave_receive, detached;
  RecordingPort port;
  port.attached.store(true);
  port.in_receive = &in_receive;
  port.leave_receive = &leave_receive;
  ASSERT_TRUE(dev->attach_port(port));
  struct NoPoll {
    int poll(Napi& napi, int) noexcept { return napi.complete_done(0), 0; }
  } no_poll;
  Napi napi(*dev, no_poll);
  Thread receiver("receiver", [&] {
    SkbBatch none;
    napi.receive(none);
  });
  ASSERT_TRUE(in_receive.wait());
  Thread detacher("detacher", [&] {
    dev->detach_port();
    port.attached.store(false);
    detached.set();
  });
  EXPECT_TRUE(detached.stays_away());
  leave_receive.set();
  receiver.join();
  EXPECT_TRUE(detached.wait());
  detacher.join();
  EXPECT_FALSE(port.called_while_detached.load());
}

TEST_F(NetDeviceTest, PortsComeAndGoWhileFramesFlow) {
  constexpr int kRounds = 400;
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  struct NoPoll {
    int poll(Napi& napi, int) noexcept { return napi.complete_done(0), 0; }
  } no_poll;
  Napi first(*dev, no_poll), second(*dev, no_poll);
  SkbPool pool(32, 64);
  RecordingPort port;
  Atomic<bool> ended{false};
  const auto flow = [&](Napi& napi) {
    while (!ended.load()) {
      SkbBatch frames;
      pool.alloc(frames, 4);
      napi.receive(frames);
      dev->tx_queue(0).wake();
    }
  };
  Thread flows[] = {Thread("flow-1", [&] { flow(first); }), Thread("flow-2", [&] { flow(second); })};
  for (int i = 0; i < kRounds; ++i) {
    port.attached.store(true);
    const uint32_t received = port.received.count();
    ASSERT_TRUE(dev->attach_port(port));
    EXPECT_TRUE(port.received.wait(received + 1));
    dev->detach_port();
    port.attached.store(false);
  }
  ended.store(true);
  for (Thread& each : flows) each.join();
  EXPECT_FALSE(port.called_while_detached.load());
  EXPECT_EQ(pool.available(), 32u);
}

TEST_F(NetDeviceTest, ADetachedDeviceKeepsItsStateAndCallsNoDriver) {
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(dev->present());
  ASSERT_TRUE(dev->detach());
  ASSERT_TRUE(dev->detach());
  script.log.clear();
  EXPECT_FALSE(dev->present());
  EXPECT_TRUE(dev->running());
  EXPECT_EQ(outcome(dev->open()), "ENODEV");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENODEV");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ENODEV");
  EXPECT_EQ(outcome(dev->uc().add(kNeighbour)), "ok") << "what is wanted may change meanwhile";
  EXPECT_EQ(outcome(dev->rx_mode().settle(Clock::now() + milliseconds(5))), "ETIMEDOUT");
  EXPECT_EQ(script.log, "");
  ASSERT_TRUE(dev->attach());
  EXPECT_TRUE(dev->present());
  EXPECT_EQ(outcome(dev->rx_mode().settle(soon())), "ok") << "attach has the filter programmed";
  EXPECT_TRUE(dev->rx_mode().covered(kNeighbour));
}

TEST_F(NetDeviceTest, ACardThatIsAwayCoversNothing) {
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->uc().add(kNeighbour));
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  ASSERT_TRUE(dev->detach());
  EXPECT_FALSE(dev->rx_mode().covered(kNeighbour));
  ASSERT_TRUE(dev->attach());
  EXPECT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  EXPECT_TRUE(dev->rx_mode().covered(kNeighbour));
}

TEST_F(NetDeviceTest, ADetachedDeviceCanBeClosedAndUnregistered) {
  for (const bool close_first : {true, false}) {
    script.log.clear();
    const NetdevPtr dev = registered();
    ASSERT_TRUE(dev->open());
    ASSERT_TRUE(dev->detach());
    if (close_first) {
      EXPECT_EQ(outcome(dev->close()), "ok");
    }
    dev->unregister_netdev();
    EXPECT_EQ(script.log, "init open stop uninit");
  }
}

}  // namespace
}  // namespace usernic
