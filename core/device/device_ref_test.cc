// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/device_ref.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/port.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

using std::chrono::hours;

using DeviceRefTest = NetDeviceTest;

TEST_F(DeviceRefTest, TheTrackerNamesWhoHoldsAReference) {
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

TEST_F(DeviceRefTest, AMovedReferenceIsStillOne) {
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

TEST_F(DeviceRefTest, UnregisterSleepsUntilTheLastReferenceIsGone) {
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

TEST_F(DeviceRefTest, ADeviceThatIsGoneAnswersEnodevToEverything) {
  TestPort port;
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->uc().add(kNeighbour));
  ASSERT_TRUE(dev->mc().add_global(kGroup));
  const RxTicket ticket = dev->rx_mode().ticket(kNeighbour);
  const NetdevPtr lower = registered("lower"), upper = registered("upper");
  ASSERT_TRUE(sync(lower->uc(), dev->uc()));
  ASSERT_TRUE(sync(dev->mc(), upper->mc()));
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
    EXPECT_EQ(outcome(sync(handle->mc(), upper->mc())), "ENODEV");
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

TEST_F(DeviceRefTest, ATicketAndASettleThatWaitEndWithTheDevice) {
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

TEST_F(DeviceRefTest, AHandleIsNoReference) {
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

TEST_F(DeviceRefTest, ANetDestroyedBeforeItsLastHandleIsReported) {
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

}  // namespace
}  // namespace usernic
