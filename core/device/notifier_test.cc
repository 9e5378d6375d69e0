// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/notifier.h"

#include <gtest/gtest.h>

#include <new>

#include "core/device/net_device_fixture.h"
#include "testing/listener.h"

namespace usernic {
namespace {

using NotifierTest = NetDeviceTest;

TEST_F(NotifierTest, ANotifierHearsOfEverything) {
  Listener listener(net);
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->change_mtu(1400));
  ASSERT_TRUE(dev->set_mac_address(kOtherMac));
  ASSERT_TRUE(dev->close());
  dev.reset();
  EXPECT_EQ(listener.heard, "register pre-up up pre-mtu mtu pre-addr addr going-down down unregister");
}

TEST_F(NotifierTest, ANotifierIsToldOfTheDevicesThatAreThere) {
  const NetdevPtr up = registered("up"), down = registered("down");
  ASSERT_TRUE(up->open());
  std::string heard;
  const Notifier notifier(net, [&](NetdevEvent event, NetDevice& dev) -> Result<> {
    heard += fmt::format("{}:{} ", dev.name(), event_name(event));
    return {};
  });
  EXPECT_EQ(heard, "down:register up:register up:up ");
}

TEST_F(NotifierTest, ANotifierOfOneDeviceHearsOfThatAlone) {
  Listener all(net);
  const NetdevPtr other = registered("other");
  NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  const DeviceHandle memory(*dev);
  Listener one(*dev);
  EXPECT_EQ(std::exchange(one.heard, ""), "register up");
  ASSERT_TRUE(other->open());
  ASSERT_TRUE(other->change_mtu(1400));
  EXPECT_EQ(one.heard, "");
  all.heard = "";
  one.refuses = NetdevEvent::kPreChangeMtu;
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "EACCES");
  all.refuses = NetdevEvent::kPreChangeAddr;
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EACCES");
  EXPECT_EQ(all.heard, "pre-mtu pre-addr");
  EXPECT_EQ(one.heard, "pre-mtu") << "those who hear of all come first";
  dev.reset();
  EXPECT_EQ(one.heard, "pre-mtu going-down down unregister");
}

TEST_F(NotifierTest, ANotifierOfADeviceThatIsNotRegisteredWaitsForIt) {
  const NetdevPtr dev = make();
  const Listener one(*dev);
  EXPECT_EQ(one.heard, "");
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(one.heard, "register");
}

TEST_F(NotifierTest, ANotifierThatIsGoneHearsNothing) {
  std::string heard;
  {
    Listener listener(net);
    listener.on_event = [&](NetdevEvent, NetDevice&) { heard += "x"; };
  }
  const NetdevPtr dev = registered();
  EXPECT_EQ(heard, "");
}

TEST_F(NotifierTest, AVetoEndsUpMtuAndAddressBeforeTheDriverIsAsked) {
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

TEST_F(NotifierTest, WhatHasHappenedCannotBeRefused) {
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

TEST_F(NotifierTest, OneWithoutMemoryKeepsNobodyElseFromHearing) {
  const NetdevPtr dev = registered();
  bool without = false;
  const Notifier poor(net, [&](NetdevEvent, NetDevice&) -> Result<> {
    if (without) throw std::bad_alloc();
    return {};
  });
  Listener last(net);
  last.heard.clear();
  without = true;
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENOMEM") << "what may be refused is";
  without = false;
  ASSERT_TRUE(dev->open());
  last.heard.clear();
  without = true;
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(last.heard, "going-down down");
  without = false;
}

}  // namespace
}  // namespace usernic
