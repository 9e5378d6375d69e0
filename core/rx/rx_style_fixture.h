// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of the driver styles: a device of one style, and its card.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "testing/addresses.h"
#include "testing/plain_driver.h"
#include "testing/watch.h"
#include "usernic/net.h"
#include "usernic/rx_mode.h"
#include "usernic/rx_style.h"
#include "usernic/work.h"

namespace usernic {

// What every driver here has.
struct Plain : PlainDriver {
  using PlainDriver::PlainDriver;
  Result<> set_mac_address(const MacAddress&) { return {}; }
};

template <class Driver, class Card>
struct StyleTest : testing::Test {
  Net net;
  Card card;
  NetdevPtr dev =
      *net.alloc_netdev<Driver>({.name = "t0", .address = uc(0xffff), .rx_retry = std::chrono::milliseconds(20)}, card);
  RxMode& mode = dev->rx_mode();

  void start() {
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->open());
    settle();
  }
  void settle() { ASSERT_EQ(outcome(mode.settle(soon())), "ok"); }
  // What has kept the address off the card so far; waits until something has.
  std::string failure_of(const MacAddress& address) {
    std::string error;
    const auto failed = [&] {
      error = outcome(mode.wait(mode.ticket(address), Clock::now()));
      return error != "ETIMEDOUT";
    };
    EXPECT_TRUE(eventually(failed));
    return error;
  }
  // A moment in which a retry would have come.
  void retries_pass() { (void)mode.settle(Clock::now() + std::chrono::milliseconds(100)); }
  // The card is reset, and says so.
  void lose_filter() {
    LaneGuard lane(dev->lane());
    card.exact.clear();
    mode.card_forgot();
  }
  // Reads or changes the card while no call runs.
  template <class Body>
  auto on_card(Body&& body) {
    LaneGuard lane(dev->lane());
    return body(card);
  }
};

}  // namespace usernic
