// SPDX-License-Identifier: Apache-2.0 OR MIT
// A card without descriptors makes the others wait, and nobody waits for ever.
#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "drivers/simnic/card_fixture.h"

namespace usernic::simnic {
namespace {

// Another card, which sends to the fixture's. A ring longer than any test's traffic: nobody reclaims it.
struct Sender {
  static constexpr uint32_t kSlots = 64;
  explicit Sender(const std::shared_ptr<Wire>& wire, const SimnicConfig& config = {})
      : ring(std::make_unique<Descriptor[]>(kSlots)), card(config, kOwnB, wire) {
    card.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(ring.get()));
    card.write(Reg::kTxSize, kSlots);
    card.write(Reg::kControl, kControlTx);
  }
  void send(uint32_t count, const MacAddress& to = kOwnA) {
    for (uint32_t i = 0; i < count; ++i) {
      frames.push_back(make_frame(to, 60, tail));
      Descriptor& descriptor = ring[tail++];
      descriptor.address = reinterpret_cast<uintptr_t>(frames.back().data());
      descriptor.length = static_cast<uint32_t>(frames.back().size());
    }
    card.write(Reg::kTxTail, tail);
  }
  uint64_t sent() const { return card.counters().tx_frames; }
  bool done(uint32_t index) const { return ring[index].status.load() == kDescriptorDone; }

  std::unique_ptr<Descriptor[]> ring;
  std::deque<std::vector<uint8_t>> frames;
  uint32_t tail = 0;
  Card card;  // goes first: it may be reading the ring yet
};

class FlowControlTest : public CardTest {
 public:
  static constexpr uint32_t kMore = 3;
  FlowControlTest() { card.set_pause_max(std::chrono::hours(1)); }
  // The fixture's card is full, and kMore frames wait for it.
  void fill() {
    sender.send(kDescriptors + kMore);
    ASSERT_EQ(sender.sent(), kDescriptors);
    ASSERT_EQ(card.counters().tx_pause, 1u);
    ASSERT_EQ(sender.card.counters().rx_pause, 1u);
  }
  // What is due at once has happened; a pause that is not over by itself is still on.
  void let_it_happen() { net.system_workqueue().flush(); }
  void expect_that_it_went_on(uint64_t sent = kDescriptors + kMore) {
    let_it_happen();
    EXPECT_EQ(sender.sent(), sent);
  }

  Sender sender{wire};
};

TEST_F(FlowControlTest, FramesWaitForDescriptorsAndNoneIsLost) {
  fill();
  EXPECT_TRUE(sender.done(kDescriptors - 1));
  EXPECT_FALSE(sender.done(kDescriptors)) << "it is still the card's";
  sender.send(1);
  let_it_happen();
  EXPECT_EQ(sender.sent(), kDescriptors);
  for (uint32_t i = 0; i < kMore + 1; ++i) {
    refill(i);
    expect_that_it_went_on(kDescriptors + 1 + i);
    EXPECT_EQ(number_of(buffers[i]), kDescriptors + i);
  }
  EXPECT_EQ(card.counters().rx_no_descriptor, 0u);
  EXPECT_EQ(card.counters().tx_pause, kMore + 2) << "each descriptor was the last one";
  EXPECT_EQ(sender.card.counters().rx_pause, kMore + 1) << "with nothing to send it waits for nobody";
}

TEST_F(FlowControlTest, WhoLearnsThatThereIsRoomInterruptsForWhatIsDone) {
  Atomic<uint32_t> irqs{0};
  const Card::IrqHandler count{
      [](void* user, Vector) noexcept USERNIC_NONBLOCKING { static_cast<Atomic<uint32_t>*>(user)->fetch_add(1); },
      &irqs};
  sender.card.connect_irq(count);
  fill();
  sender.card.write(Reg::kInterruptArm, arm_value(0, kDescriptors));
  EXPECT_EQ(irqs, 0u);
  refill(0);
  let_it_happen();
  EXPECT_EQ(irqs, 1u);
  sender.card.disconnect_irq();
}

// --- Nobody waits for ever ---

TEST_F(FlowControlTest, ADeadReceiverStopsNobodyForEver) {
  card.set_pause_max(std::chrono::milliseconds(20));
  sender.send(kDescriptors + kMore);
  ASSERT_TRUE(tap.wait_heard(kDescriptors + kMore, soon()));
  let_it_happen();  // who listens hears a frame before it is counted
  EXPECT_EQ(card.counters().rx_no_descriptor, kMore) << "lost, and counted";
  sender.send(5);
  EXPECT_EQ(sender.sent(), kDescriptors + kMore + 5) << "it has had its time";
  card.set_pause_max(std::chrono::hours(1));
  refill(0);
  sender.send(2);
  EXPECT_EQ(card.counters().tx_pause, 2u) << "back to life, it may ask again";
  EXPECT_EQ(sender.sent(), kDescriptors + kMore + 5 + 1);
}

TEST_F(FlowControlTest, AReceiverThatIsSwitchedOffAsksNobodyToWait) {
  fill();
  card.write(Reg::kControl, kControlTx);
  expect_that_it_went_on();
  EXPECT_EQ(card.counters().rx_off, kMore);
}

TEST_F(FlowControlTest, NorDoesOneThatIsQuiesced) {
  fill();
  card.quiesce();
  expect_that_it_went_on();
}

TEST_F(FlowControlTest, NorOneWithoutLink) {
  fill();
  card.set_link(false);
  expect_that_it_went_on();
  card.set_link(true);
  sender.send(1);
  EXPECT_EQ(sender.sent(), kDescriptors + kMore) << "with the link, the ring counts again";
}

TEST_F(FlowControlTest, NorOneThatIsPulledOut) {
  fill();
  card.unplug();
  expect_that_it_went_on();
}

TEST_F(FlowControlTest, AResetLeavesTheRingsAndThePauseAlone) {
  fill();
  card.reset();
  let_it_happen();
  EXPECT_EQ(sender.sent(), kDescriptors);
  refill(0);
  expect_that_it_went_on(kDescriptors + 1);
  EXPECT_EQ(card.counters().rx_filtered, 0u);
}

TEST_F(FlowControlTest, WithoutLinkNobodyMakesTheSenderWait) {
  fill();
  sender.card.set_link(false);
  let_it_happen();
  EXPECT_EQ(sender.card.counters().tx_no_link, kMore);
  EXPECT_TRUE(sender.done(kDescriptors + kMore - 1));
}

TEST_F(FlowControlTest, WhoWaitsIsQuietAtOnceAndForgetsItsRing) {
  fill();
  sender.card.quiesce();
  sender.ring.reset();
  refill(0);
  let_it_happen();
  EXPECT_EQ(sender.sent(), kDescriptors);
}

TEST_F(FlowControlTest, WhoWaitsMayBePulledOut) {
  fill();
  sender.card.unplug();
  refill(0);
  let_it_happen();
  EXPECT_EQ(sender.sent(), kDescriptors);
}

TEST_F(FlowControlTest, WhoWaitsMayGo) {
  {
    Sender other(wire);
    other.send(kDescriptors + 1);
    EXPECT_EQ(other.sent(), kDescriptors);
  }
  refill(0);
  sender.send(1);
  EXPECT_EQ(sender.sent(), 1u);
}

TEST_F(FlowControlTest, TwoThatMakeEachOtherWaitGoOn) {
  std::array<Descriptor, 1> ring;
  std::array<uint8_t, kBuffer> buffer;
  const auto give = [&](uint32_t tail) {
    ring[0].address = reinterpret_cast<uintptr_t>(buffer.data());
    ring[0].length = kBuffer;
    sender.card.write(Reg::kRxTail, tail);
  };
  sender.card.set_pause_max(std::chrono::hours(1));
  sender.card.write(Reg::kRxRing, reinterpret_cast<uintptr_t>(ring.data()));
  sender.card.write(Reg::kRxSize, 1);
  give(1);
  sender.card.write(Reg::kControl, kControlRx | kControlTx);
  fill();
  const auto frame = make_frame(kOwnB);
  for (int i = 0; i < 2; ++i) queue(frame);
  doorbell();
  EXPECT_EQ(card.counters().tx_frames, 1u);
  EXPECT_EQ(card.counters().rx_pause, 1u) << "both wait";
  refill(0);
  expect_that_it_went_on(kDescriptors + 1);
  give(2);
  let_it_happen();
  EXPECT_EQ(card.counters().tx_frames, 2u);
}

// --- More than two on a wire: one medium, and a pause is for everybody ---

TEST_F(FlowControlTest, EverybodyWaitsForWhoHasNoRoomAndEverybodyGoesOn) {
  Sender third(wire);
  fill();
  third.send(2, unicast(1));
  EXPECT_EQ(third.sent(), 0u) << "the frames are not for the card that is full, but it would have to look at them";
  for (uint32_t i = 0; i < kMore + 2; ++i) refill(i), let_it_happen();
  EXPECT_EQ(sender.sent(), kDescriptors + kMore);
  EXPECT_EQ(third.sent(), 2u);
  EXPECT_EQ(card.counters().rx_no_descriptor, 0u);
}

TEST_F(FlowControlTest, AFrameWaitsUntilAllHaveRoom) {
  Card other({}, unicast(7), wire);
  other.set_pause_max(std::chrono::hours(1));
  std::array<Descriptor, 2> ring;
  other.write(Reg::kRxRing, reinterpret_cast<uintptr_t>(ring.data()));
  other.write(Reg::kRxSize, 2);
  other.write(Reg::kControl, kControlRx);  // it has none at all
  sender.send(1);
  EXPECT_EQ(sender.sent(), 0u);
  other.write(Reg::kRxTail, 2);
  expect_that_it_went_on(1);
  sender.send(kDescriptors);
  EXPECT_EQ(sender.sent(), kDescriptors) << "now it is the other one that is full";
  EXPECT_EQ(other.counters().rx_filtered, kDescriptors) << "which costs no descriptor";
}

// --- Without flow control ---

TEST_F(FlowControlTest, WhoKeepsToNoPausesLosesFrames) {
  Sender other(wire, {.flow_control = false});
  other.send(kDescriptors + kMore);
  EXPECT_EQ(other.sent(), kDescriptors + kMore);
  EXPECT_EQ(card.counters().rx_no_descriptor, kMore);
  EXPECT_EQ(other.card.counters().rx_pause, 0u);
}

class LossyCardTest : public CardTest {
 public:
  LossyCardTest() : CardTest({.flow_control = false}) {}
};

TEST_F(LossyCardTest, ItMakesNobodyWait) {
  Sender other(wire);
  other.send(kDescriptors + 3);
  EXPECT_EQ(other.sent(), kDescriptors + 3);
  EXPECT_EQ(card.counters().rx_no_descriptor, 3u);
  EXPECT_EQ(card.counters().tx_pause, 0u);
}

// Has no room when it is asked, lets go on whom it was asked by, and has told him all of it before he begins to wait.
struct Hasty final : WireEnd {
  Hasty(Wire& the_wire, Workqueue& the_queue) : wire(the_wire), queue(the_queue) { wire.plug(*this); }
  ~Hasty() {
    wire.unplug(*this);
    behind.cancel_sync();
  }
  Room room() noexcept USERNIC_NONBLOCKING override {
    if (++asked > 2) return {};
    if (asked == 2) {  // the first time he was not in the list of those who wait
      wire.xon();
      queue.queue(behind);
      while (!told.load()) {
      }
    }
    return {.frames = 0, .until = kForever};
  }
  void hear(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING override { heard += frames.size(); }
  Wire& wire;
  Workqueue& queue;
  Atomic<bool> told{false};
  Work behind{[this] { told.store(true); }};
  int asked = 0;
  size_t heard = 0;
};

TEST(FlowControl, WhoIsLetGoOnBeforeItWaitsGoesOn) {
  Net net;
  Workqueue queue(net, "wire", Workqueue::kOrdered);
  const auto wire = std::make_shared<Wire>("w", queue);
  Hasty other(*wire, queue);
  Sender sender(wire);
  sender.send(1);
  EXPECT_EQ(other.heard, 1u);
  EXPECT_EQ(other.asked, 3);
}

}  // namespace
}  // namespace usernic::simnic
