// SPDX-License-Identifier: Apache-2.0 OR MIT
// An open device with a card that a test can make refuse, fail, hang and forget.
#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/watch.h"
#include "usernic/rx_mode.h"

namespace usernic {

struct RxModeTest : testing::Test {
  Net net;
  TestCard card;
  NetdevPtr dev;
  RxMode* mode = nullptr;

  void start() {
    dev = *net.alloc_netdev<TestDriver>({.name = "t0", .rx_retry = std::chrono::milliseconds(20)}, card);
    mode = &dev->rx_mode();
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->open());
    ASSERT_TRUE(mode->settle(soon()));
  }
  void settle() { ASSERT_EQ(mode->settle(soon()), Result<>()); }
  template <class Read>
  auto on_card(Read&& read) {
    MutexGuard guard(card.mutex);
    return read(card);
  }
  size_t exact_multicast() {
    return on_card([](TestCard& c) { return c.exact[1].size(); });
  }
};

}  // namespace usernic
