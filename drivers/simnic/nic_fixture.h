// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: what the tests of the driver share: a card with its device and a port that captures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "drivers/simnic/capture_port.h"
#include "drivers/simnic/simnic.h"
#include "drivers/simnic/test_frames.h"
#include "usernic/net.h"
#include "usernic/rx_mode.h"

namespace usernic::simnic {

// A card, its device, and a port on top. Registered; not open.
struct Nic {
  Nic(Net& net, std::shared_ptr<Wire> wire, const MacAddress& address, const SimnicConfig& config = {})
      : card(std::make_shared<Card>(config, address, std::move(wire))) {
    Result<NetdevPtr> probed = Simnic::probe(net, {.name = "nic%d", .rx_retry = std::chrono::milliseconds(5)}, card);
    EXPECT_TRUE(probed);
    dev = std::move(*probed);
    EXPECT_TRUE(dev->register_netdev());
    EXPECT_TRUE(dev->attach_port(port));
  }
  ~Nic() {
    if (dev == nullptr) return;
    dev->detach_port();
    port.release();
  }
  TxQueue& queue() { return dev->tx_queue(0); }
  bool settled() { return dev->rx_mode().settle(soon()).has_value(); }

  std::shared_ptr<Card> card;
  CapturePort port;
  NetdevPtr dev;
};

// Sends `count` numbered frames in batches, waiting for the port's tx_wake when the queue is full. Returns how many
// the device took.
inline uint32_t send(Nic& from, SkbPool& pool, const MacAddress& to, uint32_t count, uint32_t size = 60) {
  constexpr uint32_t kBatch = 32;
  uint32_t number = 0;
  SkbBatch batch;
  while (number < count || !batch.empty()) {
    while (batch.size() < kBatch && number < count) {
      Skb* const skb = pool.alloc();
      if (skb == nullptr) break;
      const auto frame = make_frame(to, size, number++);
      std::copy(frame.begin(), frame.end(), skb->put(size));
      batch.push_back(*skb);
    }
    const uint32_t wakes = from.port.wakes().load();
    from.dev->xmit(from.queue(), batch);
    if (!from.dev->running() || !from.dev->present()) return number - batch.size();
    if (!batch.empty() && from.queue().xmit_stopped()) {
      if (!CapturePort::wait_for(from.port.wakes(), wakes + 1)) return number - batch.size();
    }
  }
  return number;
}

class SimnicTest : public ::testing::Test {
 public:
  Net net;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>("w", net.system_workqueue());
  SkbPool pool{512, 2048};
};

}  // namespace usernic::simnic
