// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames and interrupts of the card; its commands are in card_command_test.cc.
#include "drivers/simnic/card.h"

#include <gtest/gtest.h>

#include "drivers/simnic/card_fixture.h"
#include "usernic/thread.h"

namespace usernic::simnic {
namespace {

// --- Receiving ---

TEST_F(CardTest, AcceptedFrameIsWrittenBack) {
  const auto frame = make_frame(kOwnA, 77, 5);
  tap.say(frame);
  ASSERT_EQ(status(rx, 0), kDescriptorDone);
  EXPECT_EQ(rx[0].length, 77u);
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), buffers[0].begin()));
  EXPECT_EQ(card.counters().rx_frames, 1u);
}

TEST_F(CardTest, FilterReallyDrops) {
  tap.say(make_frame(kOwnB));
  tap.say(make_frame(multicast(1)));
  EXPECT_EQ(status(rx, 0), 0u);
  EXPECT_EQ(card.counters().rx_filtered, 2u);
  ASSERT_TRUE(card.execute(add(multicast(1))));
  EXPECT_TRUE(card.accepts(multicast(1)));
  tap.say(make_frame(multicast(1)));
  EXPECT_EQ(status(rx, 0), kDescriptorDone);
}

TEST_F(CardTest, WithoutDescriptorFramesAreDroppedAndCounted) {
  for (uint32_t i = 0; i < kDescriptors + 3; ++i) tap.say(make_frame(kOwnA, 60, i));
  EXPECT_EQ(card.counters().rx_frames, kDescriptors);
  EXPECT_EQ(card.counters().rx_no_descriptor, 3u);
}

TEST_F(CardTest, RxRingWrapsManyTimes) {
  for (uint32_t i = 0; i < 10 * kDescriptors; ++i) {
    tap.say(make_frame(kOwnA, 60, i));
    ASSERT_EQ(status(rx, i), kDescriptorDone);
    ASSERT_EQ(number_of(buffers[i % kDescriptors]), i);
    refill(i);
  }
  EXPECT_EQ(card.counters().rx_no_descriptor, 0u);
}

TEST_F(CardTest, LongFramesAreDroppedAndCounted) {
  tap.say(make_frame(kOwnA, 1518));
  EXPECT_EQ(card.counters().rx_frames, 1u);
  tap.say(make_frame(kOwnA, 1519));
  EXPECT_EQ(card.counters().rx_too_long, 1u);
  card.write(Reg::kFrameMax, 9018);
  tap.say(make_frame(kOwnA, kBuffer + 1));
  EXPECT_EQ(card.counters().rx_too_long, 2u) << "longer than the buffer";
  tap.say(make_frame(kOwnA, kBuffer));
  EXPECT_EQ(status(rx, 1), kDescriptorDone) << "the buffer that was too short is used next";
}

TEST_F(CardTest, OffMeansDeaf) {
  card.write(Reg::kControl, kControlTx);
  tap.say(make_frame(kOwnA));
  card.write(Reg::kControl, kControlRx);
  card.set_link(false);
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(card.counters().rx_off, 2u);
  EXPECT_EQ(status(rx, 0), 0u);
}

TEST_F(CardTest, RuntsAreDroppedAndCounted) {
  tap.say(make_frame(kOwnA, kFrameMin - 1));
  tap.say(make_frame(kOwnA, kHeaderBytes));
  EXPECT_EQ(card.counters().rx_runt, 2u);
  EXPECT_EQ(status(rx, 0), 0u);
}

// --- Transmitting ---

// Whatever is in its memory behind the short frame, or was in an earlier one.
TEST_F(CardTest, ShortFramesArePaddedWithZeros) {
  for (const uint32_t size : {kFrameMin, kHeaderBytes, kFrameMin - 1, 20u}) {
    std::vector<uint8_t> frame = make_frame(kOwnB, size, UINT32_MAX);
    frame.resize(100, 0xee);
    queue(frame);
    tx[(tx_tail - 1) % kDescriptors].length = size;
    doorbell();
    std::vector<uint8_t> padded(frame.begin(), frame.begin() + size);
    padded.resize(kFrameMin);
    EXPECT_EQ(tap.kept().back(), padded) << size;
  }
}

TEST_F(CardTest, DoorbellSendsUpToTheTailInOrder) {
  const auto first = make_frame(kOwnB, 60, 1), second = make_frame(kOwnB, 61, 2);
  queue(first);
  queue(second);
  EXPECT_EQ(tap.heard(), 0u);
  doorbell();
  EXPECT_EQ(tap.kept(), (std::vector{first, second}));
  EXPECT_EQ(status(tx, 0), kDescriptorDone);
  EXPECT_EQ(status(tx, 1), kDescriptorDone);
  doorbell();
  EXPECT_EQ(tap.heard(), 2u) << "nothing is sent twice";
}

TEST_F(CardTest, TxRingWrapsManyTimes) {
  const auto frame = make_frame(kOwnB);
  for (uint32_t i = 0; i < 10 * kDescriptors; ++i) {
    queue(frame);
    doorbell();
    ASSERT_EQ(status(tx, i), kDescriptorDone);
  }
  EXPECT_EQ(tap.heard(), 10 * kDescriptors);
}

TEST_F(CardTest, TooLongToSendIsMarkedAndDoesNotStopTheRest) {
  const auto good = make_frame(kOwnB, 60, 1), bad = make_frame(kOwnB, 1519, 2);
  for (const auto* frame : {&good, &bad, &good}) queue(*frame);
  doorbell();
  EXPECT_EQ(tap.heard(), 2u);
  EXPECT_EQ(status(tx, 1), kDescriptorDone | kDescriptorError);
  EXPECT_EQ(status(tx, 2), kDescriptorDone);
  EXPECT_EQ(card.counters().tx_too_long, 1u);
}

// A driver's mistake costs its own frames, not the wire's peace.
TEST_F(CardTest, ATailBeyondTheRingIsNone) {
  const auto frame = make_frame(kOwnB);
  queue(frame);
  card.write(Reg::kTxTail, kDescriptors + 1);
  card.write(Reg::kTxTail, UINT32_MAX);
  EXPECT_EQ(tap.heard(), 0u);
  card.write(Reg::kRxTail, 3 * kDescriptors);
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(card.counters().rx_no_descriptor, 1u);
  doorbell();
  EXPECT_EQ(tap.heard(), 1u);
}

// Somebody who takes the ring away while a frame of it is on the wire.
TEST_F(CardTest, ARingMayGoWhileItsFramesAreOnTheWire) {
  struct Ear final : WireEnd {
    explicit Ear(Card& the_card) : card(the_card) {}
    void hear(std::span<const Frame>) noexcept override { card.write(reg, 0); }
    Card& card;
    Reg reg = Reg::kTxRing;
  } ear(card);
  wire->plug(ear);
  const auto frame = make_frame(kOwnB);
  for (const Reg reg : {Reg::kTxRing, Reg::kTxSize}) {
    ear.reg = reg;
    queue(frame);
    doorbell();
    card.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(tx.data()));
    card.write(Reg::kTxSize, kDescriptors);
    tx_tail = 0;
  }
  EXPECT_EQ(tap.heard(), 2u);
  wire->unplug(ear);
}

TEST_F(CardTest, WithoutLinkFramesVanishButAreDone) {
  card.set_link(false);
  const auto frame = make_frame(kOwnB);
  queue(frame);
  doorbell();
  EXPECT_EQ(tap.heard(), 0u);
  EXPECT_EQ(status(tx, 0), kDescriptorDone);
  EXPECT_EQ(card.counters().tx_no_link, 1u);
}

TEST_F(CardTest, QuiesceSilencesBothWays) {
  card.quiesce();
  const auto frame = make_frame(kOwnB);
  queue(frame);
  doorbell();
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(tap.heard(), 0u);
  EXPECT_EQ(status(tx, 0) | status(rx, 0), 0u);
}

// --- Interrupts ---

TEST_F(CardTest, UnarmedIsSilent) {
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(data_irqs, 0u);
}

TEST_F(CardTest, OneInterruptAnArming) {
  arm(0, 0);
  tap.say(make_frame(kOwnA));
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(data_irqs, 1u);
  if (kChecksOn) {
    EXPECT_EQ(context, Context::kHardIrq);
  }
}

TEST_F(CardTest, FilteredFramesDoNotInterrupt) {
  arm(0, 0);
  tap.say(make_frame(kOwnB));
  EXPECT_EQ(data_irqs, 0u);
}

// The race of every NAPI driver: the ring looked empty, a frame comes, then the interrupt is armed.
TEST_F(CardTest, ArmingAfterTheFactFiresAtOnce) {
  tap.say(make_frame(kOwnA));
  arm(0, 0);
  EXPECT_EQ(data_irqs, 1u) << "descriptor 0 is done, the driver has not looked at it";
  arm(1, 0);
  EXPECT_EQ(data_irqs, 1u) << "now it has";
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(data_irqs, 2u);
}

TEST_F(CardTest, TransmissionInterruptsLikewise) {
  const auto frame = make_frame(kOwnB);
  arm(0, 0);
  queue(frame);
  doorbell();
  EXPECT_EQ(data_irqs, 1u);
  queue(frame);
  doorbell();
  arm(0, 1);
  EXPECT_EQ(data_irqs, 2u) << "the second was done before arming";
}

TEST_F(CardTest, HandlerMayArmAgain) {
  hook = [](CardTest& test) noexcept USERNIC_NONBLOCKING {
    test.card.write(Reg::kInterruptArm, arm_value(test.data_irqs.load(), 0));
  };
  arm(0, 0);
  for (uint32_t i = 0; i < 5; ++i) tap.say(make_frame(kOwnA));
  EXPECT_EQ(data_irqs, 5u);
  hook = nullptr;
}

TEST_F(CardTest, NothingIsReportedAfterDisconnect) {
  arm(0, 0);
  card.disconnect_irq();
  tap.say(make_frame(kOwnA));
  card.set_link(false);
  EXPECT_EQ(data_irqs + event_irqs, 0u);
  card.connect_irq(handler);
  EXPECT_EQ(event_irqs, 1u) << "a pending event is reported when somebody listens again";
}

TEST_F(CardTest, WhoDisconnectsWaitsForTheHandlerThatRuns) {
  static Atomic<bool> ended;
  ended.store(false);
  hook = [](CardTest& test) noexcept USERNIC_NONBLOCKING {
    test.hook = nullptr;
    for (uint32_t before = UINT32_MAX; test.data_irqs.load() != before;) {  // until interrupts come to nobody
      before = test.data_irqs.load();
      test.card.write(Reg::kInterruptArm, arm_value(99, 99));
    }
    for (int i = 0; i < 1000; ++i) (void)test.card.read(Reg::kStatus);
    ended.store(true);
  };
  Thread raising("raising", [&] { card.set_link(false); });
  while (event_irqs == 0) wait_on(event_irqs, 0, Clock::now() + std::chrono::milliseconds(1));
  card.disconnect_irq();
  EXPECT_TRUE(ended.load());
  raising.join();
}

TEST_F(CardTest, LinkEventsAreReportedOnceAChange) {
  card.set_link(true);
  EXPECT_EQ(event_irqs, 0u);
  card.set_link(false);
  EXPECT_EQ(event_irqs, 1u);
  EXPECT_EQ(card.read(Reg::kStatus) & kStatusLink, 0u);
  EXPECT_EQ(card.read(Reg::kEventCause), kEventLink);
  EXPECT_EQ(card.read(Reg::kEventCause), 0u) << "reading clears";
}

// --- Unplugging ---

TEST_F(CardTest, UnpluggedReadsAllOnesAndAnswersNothing) {
  card.unplug();
  EXPECT_EQ(event_irqs, 1u);
  for (Reg reg : {Reg::kStatus, Reg::kEventCause, Reg::kOwnAddress, Reg::kControl}) EXPECT_EQ(card.read(reg), kGone);
  EXPECT_EQ(error_of(card.begin(StopToken())), std::errc::no_such_device);
  EXPECT_EQ(error_of(card.execute(Message{Op::kOn, Table::kPromisc})), std::errc::no_such_device);
  const auto frame = make_frame(kOwnB);
  queue(frame);
  doorbell();
  EXPECT_EQ(status(tx, 0), 0u) << "never done";
  tap.say(make_frame(kOwnA));
  EXPECT_EQ(status(rx, 0), 0u);
  card.quiesce();
}

// --- Two cards ---

TEST_F(CardTest, TwoCardsSendingAtEachOtherDoNotDeadlock) {
  constexpr uint32_t kFrames = 20'000;
  Card other({.flow_control = false}, kOwnB, wire);
  std::array<Descriptor, kDescriptors> ring;
  other.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(ring.data()));
  other.write(Reg::kTxSize, kDescriptors);
  other.write(Reg::kControl, kControlTx);
  const auto to_a = make_frame(kOwnA), to_b = make_frame(kOwnB);
  Thread sender("sender", [&] {
    for (uint32_t i = 0; i < kFrames; ++i) {
      ring[i % kDescriptors].address = reinterpret_cast<uintptr_t>(to_a.data());
      ring[i % kDescriptors].length = static_cast<uint32_t>(to_a.size());
      other.write(Reg::kTxTail, i + 1);
    }
  });
  for (uint32_t i = 0; i < kFrames; ++i) {
    queue(to_b);
    doorbell();
  }
  sender.join();
  EXPECT_EQ(card.counters().tx_frames, kFrames);
  EXPECT_EQ(other.counters().tx_frames, kFrames);
  EXPECT_EQ(card.counters().rx_frames + card.counters().rx_no_descriptor, kFrames);
  EXPECT_EQ(tap.heard(), 2 * kFrames);
}

TEST_F(CardTest, UnplugAndQuiesceWhileSending) {
  const auto frame = make_frame(kOwnB);
  Thread sender("sender", [&] {
    for (uint32_t i = 0; i < 50'000; ++i) {
      queue(frame);
      doorbell();
    }
  });
  ASSERT_TRUE(tap.wait_heard(100, soon()));
  card.unplug();
  const uint32_t heard = tap.heard();
  card.quiesce();
  sender.join();
  EXPECT_EQ(tap.heard(), heard) << "unplug returns when nothing of it is on the wire";
}

}  // namespace
}  // namespace usernic::simnic
