// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/impair/fate.h"

#include <gtest/gtest.h>

#include <functional>

#include "testing/chance.h"
#include "usernic/env.h"

namespace usernic {
namespace {

constexpr uint32_t kFrames = 100'000;
const ImpairConfig kAll{.loss_ppm = 10'000,
                        .duplicate_ppm = 20'000,
                        .corrupt_ppm = 30'000,
                        .delay_us = 500,
                        .jitter_us = 100,
                        .reorder_ppm = 40'000,
                        .reorder_us = 1000,
                        .seed = 7};

uint32_t count(const ImpairConfig& config, const std::function<bool(const Fate&)>& is, Way way = Way::kIn) {
  uint32_t frames = 0;
  for (uint64_t n = 0; n < kFrames; ++n) frames += is(fate_of(config, way, n));
  return frames;
}

// Within a tenth of what is asked for: of the rarest a thousand are expected, with a deviation of 32.
TEST(FateTest, HarmIsAsFrequentAsAskedFor) {
  const auto near = [](uint32_t frames, uint32_t expected) {
    return frames * 10 > expected * 9 && frames * 10 < expected * 11;
  };
  const ImpairConfig lossless = [] {
    ImpairConfig config = kAll;
    config.loss_ppm = 0;
    return config;
  }();
  for (const Way way : {Way::kIn, Way::kOut}) {
    EXPECT_TRUE(near(count(
                         kAll, [](const Fate& fate) { return fate.lost; }, way),
                     1000));
    EXPECT_TRUE(near(count(
                         lossless, [](const Fate& fate) { return fate.duplicated; }, way),
                     2000));
    EXPECT_TRUE(near(count(
                         lossless, [](const Fate& fate) { return fate.corrupted.has_value(); }, way),
                     3000));
    EXPECT_TRUE(near(count(
                         lossless, [](const Fate& fate) { return fate.overtaken; }, way),
                     4000));
    const auto early = [](const Fate& fate) { return fate.delay < std::chrono::microseconds(500); };
    EXPECT_TRUE(near(count(lossless, early, way), kFrames * 48 / 100));
  }
  EXPECT_EQ(count({.loss_ppm = kImpairPpm}, [](const Fate& fate) { return fate.lost; }), kFrames);
  EXPECT_EQ(count({}, [](const Fate& fate) { return fate == Fate(); }), kFrames);
}

TEST(FateTest, ADelayIsWithinItsJitterAndLongerForTheOvertaken) {
  for (uint64_t n = 0; n < kFrames; ++n) {
    const Fate fate = fate_of(kAll, Way::kOut, n);
    if (fate.lost) continue;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(fate.delay).count() - 1000 * fate.overtaken;
    ASSERT_TRUE(us >= 400 && us <= 600) << us;
  }
}

TEST(FateTest, TheSeedTheWayAndTheNumberDecide) {
  const uint64_t seed = random_u64();
  SCOPED_TRACE(seed);
  ImpairConfig config = kAll, other = kAll;
  config.seed = seed, other.seed = seed + 1;
  uint32_t by_way = 0, by_seed = 0, by_number = 0;
  for (uint64_t n = 0; n < 1000; ++n) {
    ASSERT_EQ(fate_of(config, Way::kIn, n), fate_of(config, Way::kIn, n));
    by_way += fate_of(config, Way::kIn, n) != fate_of(config, Way::kOut, n);
    by_seed += fate_of(config, Way::kIn, n) != fate_of(other, Way::kIn, n);
    by_number += fate_of(config, Way::kIn, n) != fate_of(config, Way::kIn, n + 1);
  }
  EXPECT_GT(by_way, 900u);
  EXPECT_GT(by_seed, 900u);
  EXPECT_GT(by_number, 900u);
}

// So one kind of harm can be switched on without another history.
TEST(FateTest, OneKindOfHarmMovesNoOther) {
  const ImpairConfig corrupts{.corrupt_ppm = 300'000, .seed = 3};
  const ImpairConfig both{.duplicate_ppm = 500'000, .corrupt_ppm = 300'000, .reorder_ppm = 500'000, .seed = 3};
  for (uint64_t n = 0; n < 1000; ++n) {
    ASSERT_EQ(fate_of(corrupts, Way::kIn, n).corrupted, fate_of(both, Way::kIn, n).corrupted) << n;
  }
}

TEST(FateTest, WhatDoesNotGoTogetherIsSaid) {
  EXPECT_EQ(config_error(kAll), "");
  EXPECT_EQ(config_error({.delay_us = 5, .jitter_us = 5}), "");
  EXPECT_EQ(config_error({.delay_us = 5, .jitter_us = 6}),
            "jitter_us must be at most delay_us: no frame arrives before it was sent");
  EXPECT_EQ(config_error({.reorder_ppm = 1, .reorder_us = 0}),
            "reorder_us must be at least 1 with reorder_ppm: what takes no longer is not overtaken");
}

}  // namespace
}  // namespace usernic
