// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver in kernel style says of its TX queues: which one, and how it is polled.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "kernel/names.h"
#include "testing/inet_frames.h"
#include "testing/watch.h"
#include "usernic/netpoll.h"

namespace usernic::kernel_queues_test {
namespace {

using namespace usernic::kernel;

struct queues_priv {
  Event polled, timed_out;
  unsigned late = 99;
  std::array<uint32_t, 4> sent{};
  Context polled_in = Context::kProcess;
};
queues_priv* queues_of(struct net_device* dev) {
  return *static_cast<queues_priv**>(netdev_priv(dev));
}
int queues_open(struct net_device* dev) {
  netif_tx_start_all_queues(dev);
  return 0;
}
int queues_stop(struct net_device*) {
  return 0;
}
netdev_tx_t queues_xmit(struct sk_buff* skb, struct net_device* dev) {
  ++queues_of(dev)->sent[skb_get_queue_mapping(skb)];
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
// Of a frame that begins with 0xff the last one, of all others that of the flow.
u16 queues_select(struct net_device* dev, struct sk_buff* skb, struct net_device* sb_dev) {
  const u16 picked = netdev_pick_tx(dev, skb, sb_dev);
  return skb->data()[0] == 0xff ? static_cast<u16>(netdev_num_tx_queues(dev) - 1) : picked;
}
void queues_poll(struct net_device* dev) {
  queues_of(dev)->polled_in = current_context();
  queues_of(dev)->polled.set();
}
void queues_timeout(struct net_device* dev, unsigned txqueue) {
  queues_of(dev)->late = txqueue;
  queues_of(dev)->timed_out.set();
  netif_wake_subqueue(dev, static_cast<u16>(txqueue));
}
constexpr struct net_device_ops queues_ops = {.ndo_open = queues_open,
                                              .ndo_stop = queues_stop,
                                              .ndo_start_xmit = queues_xmit,
                                              .ndo_tx_timeout = queues_timeout,
                                              .ndo_select_queue = queues_select,
                                              .ndo_poll_controller = queues_poll};

struct KernelQueues : testing::Test {
  Net net;
  init_net_is here{net};
  SkbPool pool{64, 256};
  queues_priv priv;
  struct net_device* dev = alloc_etherdev_mqs<&queues_ops>(sizeof(queues_priv*), 4, 1);

  void SetUp() override {
    *static_cast<queues_priv**>(netdev_priv(dev)) = &priv;
    ASSERT_EQ(register_netdev(dev), 0);
    ASSERT_EQ(dev_open(dev), 0);
  }
  void TearDown() override {
    unregister_netdev(dev);
    free_netdev(dev);
  }
  void send(const Octets& octets) {
    SkbBatch frames;
    Skb& skb = *pool.alloc();
    std::ranges::copy(octets, skb.put(static_cast<uint32_t>(octets.size())));
    frames.push_back(skb);
    EXPECT_EQ(dev->xmit(frames), 1u);
  }
};

TEST_F(KernelQueues, SelectQueueSaysWhichAndMayTakeWhatWouldBeTaken) {
  send(Octets(60, uint8_t{0xff}));
  send(Octets(60, uint8_t{0xff}));
  EXPECT_EQ(priv.sent[3], 2u);
  uint32_t used = 0;
  for (uint16_t port = 1; port < 64; ++port) {
    Packet udp{.udp = true};
    udp.from_port = port;
    send(udp.octets());
  }
  for (const uint32_t each : priv.sent) used += each != 0;
  EXPECT_GT(used, 1u) << "flows are spread as without the op";
}

TEST_F(KernelQueues, TxTimeoutIsToldWhichQueueNobodyWakes) {
  testing::internal::CaptureStderr();
  const NetdevPtr stuck = *net.alloc_netdev<table_driver<&queues_ops>>(
      {.name = "stuck0", .tx_queues = 4, .watchdog = std::chrono::milliseconds(20)}, sizeof(queues_priv*));
  *static_cast<queues_priv**>(netdev_priv(stuck.get())) = &priv;
  ASSERT_EQ(register_netdev(stuck.get()), 0);
  ASSERT_EQ(dev_open(stuck.get()), 0);
  netif_stop_subqueue(stuck.get(), 2);
  SkbBatch frames;
  pool.alloc(frames, 1);
  EXPECT_EQ(stuck->xmit(stuck->tx_queue(2), frames), 0u);
  EXPECT_TRUE(priv.timed_out.wait());
  SkbPool::free(frames);
  unregister_netdev(stuck.get());
  EXPECT_EQ(priv.late, 2u);
  EXPECT_TRUE(
      testing::internal::GetCapturedStderr().contains("stuck0 (driver queues_ops): TX queue 2 is stopped for "));
}

TEST_F(KernelQueues, PollControllerIsCalledWithHardIrqsDisabled) {
  Netpoll::poll(*dev);
  EXPECT_EQ(priv.polled.count(), 1u);
  EXPECT_EQ(priv.polled_in, kChecksOn ? Context::kHardIrq : Context::kProcess);
}

}  // namespace
}  // namespace usernic::kernel_queues_test
