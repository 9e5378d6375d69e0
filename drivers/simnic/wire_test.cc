// SPDX-License-Identifier: Apache-2.0
#include "drivers/simnic/wire.h"

#include <gtest/gtest.h>

#include <vector>

#include "drivers/simnic/tap.h"
#include "drivers/simnic/test_frames.h"

namespace usernic::simnic {
namespace {

TEST(Wires, OneWireAName) {
  Wires wires;
  EXPECT_EQ(wires.wire("w0"), wires.wire("w0"));
  EXPECT_NE(wires.wire("w0"), wires.wire("w1"));
  EXPECT_EQ(wires.wire("w1")->name(), "w1");
}

TEST(Wire, EverybodyElseHearsInOrder) {
  Wires wires;
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

TEST(Wire, WhoIsNotPluggedInIsNotHeard) {
  auto wire = std::make_shared<Wire>("w");
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

TEST(Wire, TapKeepsTheFirstAndCountsAll) {
  auto wire = std::make_shared<Wire>("w");
  WireTap a(wire), b(wire, 2);
  for (uint32_t i = 0; i < 5; ++i) a.say(make_frame(kOwnB, 60, i));
  EXPECT_EQ(b.heard(), 5u);
  ASSERT_EQ(b.kept().size(), 2u);
  EXPECT_EQ(number_of(b.kept()[1]), 1u);
}

TEST(Wire, WaitHeardEndsAtTheDeadline) {
  auto wire = std::make_shared<Wire>("w");
  WireTap a(wire);
  EXPECT_FALSE(a.wait_heard(1, Clock::now() + std::chrono::milliseconds(1)));
}

// A port may come and go while others talk: after unplug it hears nothing, and what was said is heard exactly once.
TEST(Wire, PlugAndUnplugWhileOthersTalk) {
  constexpr uint32_t kFrames = 20'000;
  auto wire = std::make_shared<Wire>("w");
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
