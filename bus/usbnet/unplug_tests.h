// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: for tests of every driver: the plug is pulled at every transfer there is, and put back: nothing hangs,
// nothing is left, and the device comes back with its filter. `Fixture` is a NicFixture; `made` makes one.
#pragma once

#include <string>

#include "bus/usbnet/nic_fixture.h"

namespace usernic::usb {

// In effect, or the plug was pulled meanwhile.
template <class Fixture>
void settled_or_unplugged(Fixture& adapter) {
  EXPECT_TRUE(eventually([&] {
    const Time look = Clock::now() + std::chrono::milliseconds(20);
    return !adapter.plug->plugged() || adapter.dev->rx_mode().settle(look).has_value() || !adapter.dev->running();
  }));
}

// A life: probe, open, filter, frames both ways. False: the plug was pulled before there was a device.
template <class Fixture>
bool live(Fixture& adapter) {
  if (!adapter.probe()) return false;
  (void)adapter.dev->open();
  EXPECT_TRUE(adapter.dev->mc().add(multicast(1)));
  EXPECT_TRUE(adapter.dev->rx_mode().set_promiscuity(1));
  settled_or_unplugged(adapter);
  EXPECT_TRUE(
      eventually([&] { return !adapter.plug->plugged() || adapter.dev->carrier_ok() || !adapter.dev->running(); }));
  (void)adapter.xmit(make_frame(kOther, 1));
  (void)adapter.model.receive(make_frame(multicast(1), 2));
  EXPECT_TRUE(adapter.dev->rx_mode().set_promiscuity(-1));
  settled_or_unplugged(adapter);
  return true;
}

template <class Made>
void unplug_at_each_transfer(Made&& made) {
  uint64_t transfers = 0;
  {
    const auto fixture = made();
    auto& uncut = *fixture;
    ASSERT_TRUE(live(uncut));
    ASSERT_TRUE(uncut.ear.wait(1) && uncut.listener.wait_seen(2));
    transfers = uncut.plug->counts().transfers.load();
  }
  EXPECT_GT(transfers, 15u);
  for (uint64_t n = 1; n <= transfers; ++n) {
    SCOPED_TRACE("cut at transfer " + std::to_string(n) + " of " + std::to_string(transfers));
    const auto fixture = made();
    auto& adapter = *fixture;
    adapter.plug->faults().unplug_at.store(n);
    const bool lived = live(adapter);
    // The n-th may come late, when nobody waits for it any more, or not at all.
    adapter.plug->faults().unplug_at.store(0);
    const auto plug_in = [&] {
      if (!adapter.plug->plugged()) adapter.plug->plug();
    };
    plug_in();
    if (!lived) {
      // Before there was a device there is none to come back: the next probe finds the adapter.
      ASSERT_TRUE(eventually([&] { return adapter.probe().has_value(); }));
      ASSERT_TRUE(adapter.dev->mc().add(multicast(1)));
    }
    // An open that failed is for who asked for it to repeat.
    ASSERT_TRUE(eventually([&] {
      plug_in();
      return adapter.dev->running() || adapter.dev->open().has_value();
    }));
    ASSERT_TRUE(eventually([&] {
      plug_in();
      const Time look = Clock::now() + std::chrono::milliseconds(20);
      return adapter.dev->present() && adapter.dev->rx_mode().settle(look) && adapter.model.filter().receiving;
    }));
    EXPECT_TRUE(adapter.hears(multicast(1)));
    EXPECT_FALSE(adapter.hears(multicast(2)));
    EXPECT_TRUE(eventually([&] { return adapter.dev->carrier_ok(); }));
    const size_t heard = adapter.ear.frames().size();
    ASSERT_EQ(adapter.xmit(make_frame(kOther, 3)), 1u);
    ASSERT_TRUE(adapter.ear.wait(heard + 1));
  }
}

template <class Made>
void unplug_and_change(Made&& made) {
  const auto fixture = made();
  auto& adapter = *fixture;
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  adapter.plug->unplug();
  ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
  EXPECT_FALSE(adapter.dev->carrier_ok());
  EXPECT_TRUE(adapter.dev->running());
  ASSERT_TRUE(adapter.dev->mc().add(multicast(3)));
  EXPECT_FALSE(adapter.dev->rx_mode().covered(multicast(3)));
  EXPECT_EQ(adapter.xmit(make_frame(kOther, 1)), 0u);
  adapter.plug->plug();
  ASSERT_TRUE(adapter.back());
  EXPECT_TRUE(adapter.hears(multicast(3)));
}

template <class Made>
void unplug_and_close(Made&& made) {
  const auto fixture = made();
  auto& adapter = *fixture;
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  adapter.plug->unplug();
  ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
  ASSERT_TRUE(adapter.dev->close());
  EXPECT_EQ(adapter.dev->open().error(), std::errc::no_such_device);
  adapter.plug->plug();
  ASSERT_TRUE(eventually([&] { return adapter.dev->present(); }));
  EXPECT_FALSE(adapter.model.filter().receiving);
  ASSERT_TRUE(adapter.dev->open() && adapter.settled());
  EXPECT_TRUE(adapter.through());
}

template <class Made>
void unplug_and_free(Made&& made) {
  const auto fixture = made();
  auto& adapter = *fixture;
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  adapter.plug->unplug();
  ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
  adapter.dev->detach_port();
  adapter.dev = nullptr;
}

}  // namespace usernic::usb
