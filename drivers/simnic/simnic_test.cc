// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver on a Net: life, frames, MTU, link. Its filter is in simnic_filter_test.cc.
#include "drivers/simnic/simnic.h"

#include <gtest/gtest.h>

#include "drivers/simnic/nic_fixture.h"
#include "drivers/simnic/tap.h"
#include "testing/drops.h"
#include "testing/watch.h"
#include "usernic/ethtool.h"
#include "usernic/thread.h"

namespace usernic::simnic {
namespace {

std::errc error_of(const Result<>& result) {
  return result ? std::errc{} : result.error();
}

// --- Life ---

TEST_F(SimnicTest, TheCardsOwnAddressIsTheDevices) {
  Nic a(net, wire, kOwnA);
  EXPECT_EQ(a.dev->address(), kOwnA);
  EXPECT_FALSE(a.dev->carrier_ok()) << "not open";
}

TEST_F(SimnicTest, AnAddressOfTheConfigWinsAndIsProgrammedAtOpen) {
  auto card = std::make_shared<Card>(SimnicConfig{}, kOwnA, wire);
  Result<NetdevPtr> dev = Simnic::probe(net, {.name = "nic%d", .address = kOwnB}, card);
  ASSERT_TRUE(dev && (*dev)->register_netdev() && (*dev)->open());
  EXPECT_TRUE(card->accepts(kOwnB));
  EXPECT_FALSE(card->accepts(kOwnA));
}

TEST_F(SimnicTest, ProbingAnUnpluggedCardIsRefused) {
  auto card = std::make_shared<Card>(SimnicConfig{}, kOwnA, wire);
  card->unplug();
  const Result<NetdevPtr> dev = Simnic::probe(net, {}, card);
  ASSERT_FALSE(dev);
  EXPECT_EQ(dev.error(), std::errc::no_such_device);
}

TEST_F(SimnicTest, FramesArriveWhole) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  EXPECT_EQ(send(a, pool, kOwnB, 10, 1514), 10u);
  ASSERT_TRUE(b.port.wait_received(10));
  EXPECT_EQ(b.port.last_size(), 1514u);
  EXPECT_EQ(b.port.out_of_order(), 0u);
  EXPECT_EQ(a.port.received(), 0u);
  EXPECT_EQ(a.dev->stats().tx_packets, 10u);
  EXPECT_EQ(b.dev->stats().rx_packets, 10u);
}

TEST_F(SimnicTest, ClosedMeansDeafAndMuteAndOpenMeansBack) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(b.dev->close());
    const uint32_t before = b.port.received();
    send(a, pool, kOwnB, 3);
    send(b, pool, kOwnA, 3);
    EXPECT_EQ(b.port.received(), before);
    EXPECT_EQ(a.port.received(), 0u);
    ASSERT_TRUE(b.dev->open());
    send(a, pool, kOwnB, 3);
    ASSERT_TRUE(b.port.wait_received(before + 3));
  }
}

TEST_F(SimnicTest, EveryBufferComesBack) {
  {
    Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
    ASSERT_TRUE(a.dev->open() && b.dev->open());
    send(a, pool, kOwnB, 1000);
  }
  EXPECT_EQ(pool.available(), 512u);
}

TEST_F(SimnicTest, FramesMayOutliveTheCloseOfTheDevice) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  b.port.keep();
  send(a, pool, kOwnB, 20);
  ASSERT_TRUE(b.port.wait_received(20));
  ASSERT_TRUE(b.dev->close());
  ASSERT_TRUE(b.dev->open());
  b.port.release();
  const uint32_t before = b.port.received();
  send(a, pool, kOwnB, 20);
  EXPECT_TRUE(b.port.wait_received(before + 20));
}

// A card lives on, and things go on happening to it; a driver that has let go hears of none.
TEST_F(SimnicTest, AnUnregisteredDriverAnswersNoEvent) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open());
  a.dev->detach_port();
  a.dev->unregister_netdev();
  a.card->reset();
  a.card->set_link(false);
  net.system_workqueue().flush();
  EXPECT_EQ(error_of(a.card->execute({Op::kOn, Table::kPromisc})), std::errc::io_error) << "nobody acknowledged it";
  EXPECT_EQ(a.card->read(Reg::kEventCause), kEventReset | kEventLink) << "nor asked what it was";
  a.card->unplug();
  net.system_workqueue().flush();
}

// --- Load ---

// All frames in = frames out + those that somebody counted, once each. Closing is what makes an end of it.
void expect_accounted(Nic& from, Nic& to, uint32_t sent) {
  ASSERT_TRUE(from.dev->close() && to.dev->close());
  const LinkStats out = from.dev->stats(), in = to.dev->stats();
  EXPECT_EQ(out.tx_packets + out.tx_dropped, sent);
  EXPECT_EQ(from.card->counters().tx_frames, out.tx_packets - out.tx_errors);
  EXPECT_EQ(out.tx_packets - out.tx_errors, in.rx_packets + in.rx_dropped + in.rx_errors + in.rx_filtered + in.rx_off);
  EXPECT_EQ(in.rx_packets, to.port.received());
}

class LoadTest : public SimnicTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(FlowControl, LoadTest, ::testing::Bool());

TEST_P(LoadTest, QueueStopsAndWakesAndEveryFrameIsAccountedFor) {
  constexpr uint32_t kFrames = 50'000;
  const SimnicConfig small{.rx_descriptors = 64, .tx_descriptors = 16, .flow_control = GetParam()};
  Nic a(net, wire, kOwnA, small), b(net, wire, kOwnB, small);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  uint32_t from_b = 0;
  SkbPool pool_b(512, 2048);
  Thread other("b-sends", [&] { from_b = send(b, pool_b, kOwnA, kFrames); });
  const uint32_t from_a = send(a, pool, kOwnB, kFrames);
  other.join();
  EXPECT_EQ(from_a, kFrames);
  EXPECT_EQ(from_b, kFrames);
  EXPECT_GT(a.port.wakes(), 0u) << "a ring of 16 was full at least once";
  if (GetParam()) {
    EXPECT_TRUE(a.port.wait_received(kFrames) && b.port.wait_received(kFrames)) << "who polls loses nothing";
    EXPECT_EQ(a.card->counters().rx_no_descriptor + b.card->counters().rx_no_descriptor, 0u);
  }
  expect_accounted(a, b, from_a);
  expect_accounted(b, a, from_b);
  EXPECT_EQ(a.port.out_of_order() + b.port.out_of_order(), 0u);
}

// [BQL] The ring has room for all, the card gets what keeps it busy.
TEST_F(SimnicTest, WithByteLimitsNothingIsLostAndTheRestWaitsWithTheSender) {
  constexpr uint32_t kFrames = 20'000;
  const SimnicConfig limited{.tx_descriptors = 4096, .byte_limits = true};
  Nic a(net, wire, kOwnA, limited), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  EXPECT_EQ(send(a, pool, kOwnB, kFrames), kFrames);
  EXPECT_TRUE(b.port.wait_received(kFrames));
  EXPECT_GT(a.port.wakes(), 0u) << "the limit stopped it, a completion woke it";
  EXPECT_GT(a.dev->tx_queue(0).byte_limit().limit(), 0u) << "it has found one";
  expect_accounted(a, b, kFrames);
  EXPECT_EQ(a.dev->tx_queue(0).byte_limit().in_flight(), 0u);
  EXPECT_EQ(a.port.out_of_order(), 0u);
}

TEST_F(SimnicTest, ABatchRingsTheDoorbellOnce) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open());
  send(a, pool, kOwnB, 32);
  EXPECT_EQ(a.card->counters().tx_doorbells, 1u);
  EXPECT_EQ(a.card->counters().tx_frames, 32u);
}

// One at a time: each frame needs the interrupt that the one before left armed. A lost one would hang here.
TEST_F(SimnicTest, NoInterruptIsLostBetweenLastLookAndArming) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  for (uint32_t i = 1; i <= 5'000; ++i) {
    ASSERT_EQ(send(a, pool, kOwnB, 1), 1u);
    ASSERT_TRUE(b.port.wait_received(i)) << "frame " << i;
  }
}

TEST_F(SimnicTest, AStarvedReceiverRecoversWhenBuffersComeBack) {
  const SimnicConfig small{.rx_descriptors = 4, .flow_control = false};
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB, small);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  b.port.keep();
  while (b.port.received() < 8) send(a, pool, kOwnB, 1);  // the pool has 8 buffers, and the port keeps them all
  const CardCounters& in = b.card->counters();
  const uint64_t dropped = in.rx_no_descriptor;
  send(a, pool, kOwnB, 1);
  EXPECT_EQ(in.rx_no_descriptor, dropped + 1);
  EXPECT_EQ(b.dev->stats().rx_missed, dropped + 1);
  EXPECT_EQ(b.dev->stats().rx_dropped, dropped + 1);
  b.port.release();
  const Time deadline = soon();
  while (in.rx_frames == 8 && Clock::now() < deadline) send(a, pool, kOwnB, 1);
  EXPECT_GT(in.rx_frames, 8u);
}

TEST_F(SimnicTest, AStarvedReceiverMakesTheSenderWaitForItsBuffers) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB, {.rx_descriptors = 4});
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  b.card->set_pause_max(std::chrono::hours(1));
  b.port.keep();
  ASSERT_EQ(send(a, pool, kOwnB, 12), 12u);
  ASSERT_TRUE(b.port.wait_received(8)) << "all the buffers there are";
  b.port.release();
  EXPECT_TRUE(b.port.wait_received(12));
  EXPECT_EQ(b.card->counters().rx_no_descriptor, 0u);
}

// Who took the last buffer asked for a refill, which finds the device closed: it is kept until it is open.
TEST_F(SimnicTest, AReceiverThatOpensWithoutABufferRecoversWhenTheyComeBack) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB, {.rx_descriptors = 4, .flow_control = false});
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  b.port.keep();
  while (b.port.received() < 8) send(a, pool, kOwnB, 1);
  ASSERT_TRUE(b.dev->close());
  Event later;
  Work all_before([&] { later.set(); });
  net.system_workqueue().queue_at(all_before, Clock::now() + kMoment);
  ASSERT_TRUE(later.wait());
  all_before.cancel_sync();
  ASSERT_TRUE(b.dev->open());
  const CardCounters& in = b.card->counters();
  const uint64_t dropped = in.rx_no_descriptor;
  send(a, pool, kOwnB, 1);
  EXPECT_EQ(in.rx_no_descriptor, dropped + 1);
  b.port.release();
  const Time deadline = soon();
  while (in.rx_frames == 8 && Clock::now() < deadline) send(a, pool, kOwnB, 1);
  EXPECT_GT(in.rx_frames, 8u);
}

// Frames that a dead receiver holds up are still the sender's when it is closed.
TEST_F(SimnicTest, WhatIsClosedBeforeItWasSentIsCounted) {
  Nic a(net, wire, kOwnA);
  Card dead({}, kOwnB, wire);
  dead.set_pause_max(std::chrono::hours(1));
  dead.write(Reg::kControl, kControlRx);  // without a descriptor
  Drops drops(*a.dev);
  ASSERT_TRUE(a.dev->open());
  EXPECT_EQ(send(a, pool, kOwnB, 5), 5u);
  EXPECT_EQ(a.dev->stats().rx_pause, 1u);
  ASSERT_TRUE(a.dev->close());
  EXPECT_EQ(drops.take(), DropNotes(5, "out: the device was closed before the card sent it"));
  EXPECT_EQ(a.dev->stats().tx_errors, 5u);
  EXPECT_EQ(pool.available(), 512u);
  EXPECT_EQ(dead.counters().rx_no_descriptor, 0u);
}

// --- MTU ---

TEST_F(SimnicTest, MtuBoundsWhatPassesBothWays) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  WireTap tap(wire);
  tap.say(make_frame(kOwnB, 1518));
  ASSERT_TRUE(b.port.wait_received(1)) << "an MTU of 1500 receives 1518 octets";
  tap.say(make_frame(kOwnB, 1519));
  EXPECT_EQ(b.card->counters().rx_too_long, 1u);
  EXPECT_EQ(b.dev->stats().rx_errors, 1u);

  ASSERT_TRUE(b.dev->change_mtu(9000));
  tap.say(make_frame(kOwnB, 9018));
  ASSERT_TRUE(b.port.wait_received(2));
  EXPECT_EQ(b.port.last_size(), 9018u);

  ASSERT_TRUE(b.dev->change_mtu(1000));
  tap.say(make_frame(kOwnB, 1500));
  EXPECT_EQ(b.card->counters().rx_too_long, 2u);
  ASSERT_TRUE(b.dev->close() && b.dev->change_mtu(2000) && b.dev->open());
  tap.say(make_frame(kOwnB, 2018));
  ASSERT_TRUE(b.port.wait_received(3));
}

TEST_F(SimnicTest, MtuChangesUnderLoadLoseNothingUncounted) {
  constexpr uint32_t kFrames = 20'000;
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  Atomic<bool> done{false};
  uint32_t sent = 0;
  Thread sender("sender", [&] {
    sent = send(a, pool, kOwnB, kFrames);
    done.store(true);
  });
  for (uint32_t mtu = 1500; !done.load(); mtu = mtu == 1500 ? 4000 : 1500) {
    ASSERT_TRUE(a.dev->change_mtu(mtu));
    ASSERT_TRUE(b.dev->change_mtu(mtu));
  }
  sender.join();
  EXPECT_EQ(sent, kFrames);
  expect_accounted(a, b, sent);
}

// --- Link and unplugging ---

TEST_F(SimnicTest, CarrierFollowsTheLink) {
  Nic a(net, wire, kOwnA);
  a.card->set_link(false);
  ASSERT_TRUE(a.dev->open());
  EXPECT_FALSE(a.dev->carrier_ok());
  a.card->set_link(true);
  EXPECT_TRUE(a.dev->carrier_ok());
  EXPECT_EQ(a.port.carrier_ups(), 1u);
  a.card->set_link(false);
  EXPECT_FALSE(a.dev->carrier_ok());
  ASSERT_TRUE(a.dev->close());
  a.card->set_link(true);
  EXPECT_FALSE(a.dev->carrier_ok()) << "a closed device has none";
  ASSERT_TRUE(a.dev->open());
  EXPECT_TRUE(a.dev->carrier_ok());
}

TEST_F(SimnicTest, ACarrierThatIsTurnedOffStaysOffWhateverTheWireSays) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open());
  ASSERT_TRUE(a.dev->change_carrier(false));
  EXPECT_FALSE(a.dev->carrier_ok());
  a.card->set_link(false);
  a.card->set_link(true);
  EXPECT_FALSE(a.dev->carrier_ok());
  ASSERT_TRUE(a.dev->close() && a.dev->open());
  EXPECT_FALSE(a.dev->carrier_ok()) << "closing and opening is no permission";
  a.card->set_link(false);
  ASSERT_TRUE(a.dev->change_carrier(true));
  EXPECT_FALSE(a.dev->carrier_ok()) << "the wire has none";
  a.card->set_link(true);
  EXPECT_TRUE(a.dev->carrier_ok());
  ASSERT_TRUE(a.dev->close() && a.dev->change_carrier(false) && a.dev->change_carrier(true));
  EXPECT_FALSE(a.dev->carrier_ok()) << "a closed device has none";
}

TEST_F(SimnicTest, NothingPassesALinkThatIsHeldDown) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  ASSERT_TRUE(b.dev->change_carrier(false));
  EXPECT_EQ(send(a, pool, kOwnB, 5), 5u);
  EXPECT_EQ(b.card->counters().rx_off.load(), 5u);
  ASSERT_TRUE(b.dev->change_mtu(9000));  // larger buffers: the receiver starts anew
  EXPECT_EQ(send(a, pool, kOwnB, 5), 5u);
  EXPECT_EQ(b.card->counters().rx_off.load(), 10u);
  send(b, pool, kOwnA, 5);
  EXPECT_EQ(b.dev->stats().tx_dropped, 5u);
  ASSERT_TRUE(b.dev->change_carrier(true));
  EXPECT_EQ(send(a, pool, kOwnB, 5), 5u);
  EXPECT_TRUE(b.port.wait_received(5));
  EXPECT_EQ(b.card->counters().rx_off.load(), 10u);
}

TEST_F(SimnicTest, UnplugWhileSendingDetachesTheDevice) {
  Nic a(net, wire, kOwnA), b(net, wire, kOwnB);
  ASSERT_TRUE(a.dev->open() && b.dev->open());
  Atomic<bool> enough{false};
  Thread sender("sender", [&] {
    while (!enough.load() && a.dev->present()) {
      SkbBatch batch;
      if (Skb* skb = pool.alloc()) {
        const auto frame = make_frame(kOwnB);
        std::copy(frame.begin(), frame.end(), skb->put(60));
        batch.push_back(*skb);
      }
      a.dev->xmit(a.queue(), batch);
    }
  });
  ASSERT_TRUE(b.port.wait_received(100));
  a.card->unplug();
  const Time deadline = soon();
  while (a.dev->present() && Clock::now() < deadline) {
    CapturePort::wait_for(a.port.carrier_downs(), 1);
  }
  enough.store(true);
  sender.join();
  EXPECT_FALSE(a.dev->present());
  EXPECT_FALSE(a.dev->carrier_ok());
  EXPECT_EQ(error_of(a.dev->change_mtu(1400)), std::errc::no_such_device);
  EXPECT_TRUE(a.dev->close()) << "an absent device is closed all the same";
}

TEST_F(SimnicTest, UnplugDuringACommandThatTakesForEver) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open() && a.settled());
  a.card->set_command_latency(std::chrono::hours(1));
  const uint32_t before = a.card->transactions();
  ASSERT_TRUE(a.dev->mc().add(multicast(1)));
  ASSERT_TRUE(a.card->wait_transactions(before + 1, soon()));
  a.card->unplug();
  a.dev->unregister_netdev();
}

TEST_F(SimnicTest, AReceiverMayGoWhileAnotherSends) {
  Nic a(net, wire, kOwnA);
  ASSERT_TRUE(a.dev->open());
  Atomic<bool> done{false};
  Thread sender("sender", [&] {
    send(a, pool, kOwnB, 30'000);
    done.store(true);
  });
  while (!done.load()) {
    Nic b(net, wire, kOwnB);
    ASSERT_TRUE(b.dev->open());
    if (!done.load()) b.port.wait_received(1);
  }
  sender.join();
}

}  // namespace
}  // namespace usernic::simnic
