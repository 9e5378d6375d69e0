// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/wire.h"

#include <gtest/gtest.h>

#include <vector>

#include "drivers/simnic/tap.h"
#include "drivers/simnic/test_frames.h"
#include "usernic/net.h"
#include "usernic/thread.h"

namespace usernic::simnic {
namespace {

struct WireTest : ::testing::Test {
  Net net;
};

TEST_F(WireTest, OneWireAName) {
  Wires wires(net.system_workqueue());
  EXPECT_EQ(wires.wire("w0"), wires.wire("w0"));
  EXPECT_NE(wires.wire("w0"), wires.wire("w1"));
  EXPECT_EQ(wires.wire("w1")->name(), "w1");
}

TEST_F(WireTest, EverybodyElseHearsInOrder) {
  Wires wires(net.system_workqueue());
  WireTap a(wires.wire("w"), 8), b(wires.wire("w"), 8), c(wires.wire("w"), 8), other(wires.wire("x"), 8);
  const auto first = make_frame(kOwnB, 60, 1), second = make_frame(kOwnB, 61, 2);
  const std::vector<Frame> frames{first, second};
  a.say(frames);
  EXPECT_EQ(a.heard(), 0u);
  EXPECT_EQ(other.heard(), 0u);
  for (const WireTap* tap : {&b, &c}) {
    ASSERT_EQ(tap->heard(), 2u);
    EXPECT_EQ(tap->kept(), (std::vector{first, second}));
  }
}

TEST_F(WireTest, WhoIsNotPluggedInIsNotHeard) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  WireTap a(wire), b(wire);
  const auto frame = make_frame(kOwnB);
  const Frame view(frame);
  wire->unplug(a);
  wire->unplug(a);
  EXPECT_FALSE(wire->send(a, {&view, 1}));
  EXPECT_EQ(b.heard(), 0u);
  wire->plug(a);
  wire->plug(a);
  EXPECT_TRUE(wire->send(a, {&view, 1}));
  EXPECT_EQ(b.heard(), 1u);
}

// An ear with as much room as the test says.
struct Ear final : WireEnd {
  explicit Ear(std::shared_ptr<Wire> the_wire) : wire(std::move(the_wire)) { wire->plug(*this); }
  ~Ear() { wire->unplug(*this); }
  Room room() noexcept override {
    if (asked++ >= full) return {.frames = frames};
    return {.frames = 0, .until = until};
  }
  void hear(std::span<const Frame> more) noexcept override { heard += more.size(); }
  void resume() noexcept override { ++resumed; }

  const std::shared_ptr<Wire> wire;
  uint32_t full = 0, frames = 100;  // so often it has no room; then so much
  Time until{};
  uint32_t asked = 0, resumed = 0;
  uint64_t heard = 0;
};

TEST_F(WireTest, AnOfferIsTakenAsFarAsEverybodyHasRoom) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  Ear from(wire), wide(wire), narrow(wire);
  narrow.frames = 2;
  const auto frame = make_frame(kOwnB);
  const std::vector<Frame> frames(3, Frame(frame));
  EXPECT_EQ(wire->offer(from, frames).frames, 2u);
  EXPECT_EQ(wide.heard, 2u);
  EXPECT_EQ(narrow.heard, 2u);
  EXPECT_TRUE(wire->send(from, frames)) << "room or not";
  EXPECT_EQ(narrow.heard, 5u);
  wire->unplug(from);
  EXPECT_FALSE(wire->offer(from, frames).plugged);
}

TEST_F(WireTest, WhoseOfferIsNotTakenHearsOfRoomOnce) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  Ear from(wire), full(wire), fuller(wire);
  full.full = fuller.full = UINT32_MAX;
  full.until = Time(std::chrono::seconds(1)), fuller.until = Time(std::chrono::seconds(2));
  const auto frame = make_frame(kOwnB);
  const Frame view(frame);
  for (int i = 0; i < 2; ++i) {
    const Wire::Taken taken = wire->offer(from, {&view, 1});
    EXPECT_EQ(taken.frames, 0u);
    EXPECT_EQ(taken.until, fuller.until) << "until then somebody has no room";
  }
  wire->xon();
  wire->xon();
  EXPECT_EQ(from.resumed, 1u);
  (void)wire->offer(from, {&view, 1});
  wire->unplug(full);
  EXPECT_EQ(from.resumed, 2u) << "who leaves has no say any more";
  (void)wire->offer(from, {&view, 1});
  wire->unplug(from);
  wire->xon();
  EXPECT_EQ(from.resumed, 2u) << "nor does it hear";
  EXPECT_EQ(full.heard + fuller.heard, 0u);
}

// Its xon came before anybody waited.
TEST_F(WireTest, RoomThatComesWhileSomebodyBeginsToWaitIsNotMissed) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  Ear from(wire), ear(wire);
  ear.full = 1;
  const auto frame = make_frame(kOwnB);
  const Frame view(frame);
  EXPECT_EQ(wire->offer(from, {&view, 1}).frames, 1u);
}

TEST_F(WireTest, TapKeepsTheFirstAndCountsAll) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  WireTap a(wire), b(wire, 2);
  for (uint32_t i = 0; i < 5; ++i) a.say(make_frame(kOwnB, 60, i));
  EXPECT_EQ(b.heard(), 5u);
  ASSERT_EQ(b.kept().size(), 2u);
  EXPECT_EQ(number_of(b.kept()[1]), 1u);
}

TEST_F(WireTest, WaitHeardEndsAtTheDeadline) {
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  WireTap a(wire);
  EXPECT_FALSE(a.wait_heard(1, Clock::now() + std::chrono::milliseconds(1)));
}

// A port may come and go while others talk: after unplug it hears nothing, and what was said is heard exactly once.
TEST_F(WireTest, PlugAndUnplugWhileOthersTalk) {
  constexpr uint32_t kFrames = 20'000;
  auto wire = std::make_shared<Wire>("w", net.system_workqueue());
  WireTap stays(wire), a(wire), b(wire);
  const auto talk = [](WireTap& tap) {
    const auto frame = make_frame(kOwnB);
    for (uint32_t i = 0; i < kFrames; ++i) tap.say(frame);
  };
  Thread first("talk-a", [&] { talk(a); });
  Thread second("talk-b", [&] { talk(b); });
  while (stays.heard() < 2 * kFrames) {
    WireTap guest(wire, 4);
    const uint32_t heard = stays.heard();
    stays.wait_heard(heard + 1, Clock::now() + std::chrono::milliseconds(5));
  }
  first.join();
  second.join();
  EXPECT_EQ(stays.heard(), 2 * kFrames);
  EXPECT_EQ(a.heard(), kFrames);
}

}  // namespace
}  // namespace usernic::simnic
