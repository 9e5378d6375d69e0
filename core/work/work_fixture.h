// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of work items: a Net with a queue of its own, and items that say when they run.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>

#include "core/device/device.h"
#include "core/lock/lock_graph.h"
#include "testing/card.h"
#include "testing/watch.h"
#include "usernic/work.h"

namespace usernic {

inline Time in(Duration time) {
  return Clock::now() + time;
}

struct WorkTest : testing::Test {
  Net net;
  Workqueue ordered{net, "ordered", Workqueue::kOrdered};
  Workqueue concurrent{net, "concurrent", 2};
  Event ran;
  Work work{[this] { ran.set(); }};

  // An item that is inside its body until told to go on.
  Event entered, go_on;
  Work slow{[this] {
    entered.set();
    go_on.wait(entered.count());
  }};
  void start_slow(Workqueue& queue) {
    const uint32_t before = entered.count();
    ASSERT_TRUE(queue.queue(slow));
    ASSERT_TRUE(entered.wait(before + 1));
  }
  void TearDown() override {
    for (int i = 0; i < 10; ++i) go_on.set();
    ordered.flush();
    concurrent.flush();
  }
};

}  // namespace usernic
