// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/net_device.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/listener.h"
#include "usernic/napi.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

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

TEST_F(NetDeviceTest, ANameInUseIsRefusedAndTheDriverHearsNothing) {
  const NetdevPtr first = registered("t0");
  script.log.clear();
  NetdevPtr second = make("t0");
  EXPECT_EQ(outcome(second->register_netdev()), "EEXIST");
  EXPECT_EQ(script.log, "");
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

TEST_F(NetDeviceTest, WithoutTheOpAnyMtuIsFineAndNoAddressAndNoCarrierIsChanged) {
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "p0", .address = kMac});
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ok");
  EXPECT_EQ(dev->mtu(), 1400u);
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EOPNOTSUPP");
  EXPECT_EQ(outcome(dev->change_carrier(false)), "EOPNOTSUPP");
  EXPECT_TRUE(dev->carrier_ok());
}

TEST_F(NetDeviceTest, AWishAboutTheCarrierIsTheDriversToCarryOut) {
  const NetdevPtr dev = registered();
  script.log.clear();
  EXPECT_EQ(outcome(dev->change_carrier(false)), "ok");
  EXPECT_FALSE(dev->carrier_ok());
  EXPECT_EQ(outcome(dev->change_carrier(false)), "ok");
  EXPECT_EQ(outcome(dev->change_carrier(true)), "ok");
  EXPECT_TRUE(dev->carrier_ok());
  EXPECT_EQ(script.log, "carrier-off carrier-off carrier-on") << "each: only the driver knows what it holds down";
  script.change_carrier = [] { return refuse(std::errc::io_error); };
  EXPECT_EQ(outcome(dev->change_carrier(false)), "EIO");
  EXPECT_TRUE(dev->carrier_ok());
  ASSERT_TRUE(dev->detach());
  script.log.clear();
  EXPECT_EQ(outcome(dev->change_carrier(false)), "ENODEV");
  EXPECT_EQ(script.log, "");
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

}  // namespace
}  // namespace usernic
