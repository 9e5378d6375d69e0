// SPDX-License-Identifier: Apache-2.0
#include "host/follow.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace usernic {
namespace {

using enum FollowStep;

TEST(Followed, NothingHappensWhileNothingChanges) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1500, 1500), kNothing);
}

TEST(Followed, TheDeviceFollowsTheKernel) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1400, 1500), kTellDevice);
  EXPECT_EQ(mtu.look(1400, 1500), kNothing) << "told once; it has not answered yet";
  EXPECT_EQ(mtu.device_answered(1400), kNothing);
  EXPECT_EQ(mtu.look(1400, 1400), kNothing);
}

TEST(Followed, TheKernelFollowsTheDevice) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1500, 1400), kTellKernel);
  mtu.kernel_has(1400);
  EXPECT_EQ(mtu.look(1400, 1400), kNothing);
}

TEST(Followed, ARefusalOfTheDevicePutsTheKernelBack) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(60000, 1500), kTellDevice);
  EXPECT_EQ(mtu.device_answered(1500), kTellKernel);
  mtu.kernel_has(1500);
  EXPECT_EQ(mtu.look(1500, 1500), kNothing);
}

TEST(Followed, ARefusalOfTheKernelIsLeftAlone) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1500, 70000), kTellKernel);  // and it does not take it
  EXPECT_EQ(mtu.look(1500, 70000), kNothing);
}

TEST(Followed, BothRefusingDoesNotGoInCircles) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1400, 1500), kTellDevice);
  EXPECT_EQ(mtu.device_answered(1500), kTellKernel);  // and it does not take it
  for (int i = 0; i < 5; ++i) EXPECT_EQ(mtu.look(1400, 1500), kNothing);
}

TEST(Followed, TheNewestWinsWhileTheDeviceIsBusy) {
  Followed<bool> up(false);
  EXPECT_EQ(up.look(true, false), kTellDevice);
  EXPECT_EQ(up.look(false, true), kTellDevice) << "also back to where it was: the device may be half-way";
  EXPECT_EQ(up.device_answered(false), kNothing);
}

TEST(Followed, TheKernelWinsWhenBothChanged) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1400, 1300), kTellDevice);
  EXPECT_EQ(mtu.device_answered(1400), kNothing);
}

TEST(Followed, BothChangedToTheSameIsNothing) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1400, 1400), kNothing);
  EXPECT_EQ(mtu.look(1400, 1400), kNothing);
}

// Two sides that answer as they like settle within a few looks once people keep their hands off.
RC_GTEST_PROP(FollowedProperty, SettlesWhateverTheSidesAnswer,
              (std::vector<std::pair<bool, uint8_t>> changes, bool device_refuses, bool kernel_refuses)) {
  int kernel = 0;
  int device = 0;
  bool answer_owed = false;
  Followed<int> followed(0);
  const auto act = [&](FollowStep step) {
    if (step == kTellDevice) {
      if (!device_refuses) device = kernel;
      answer_owed = true;
    } else if (step == kTellKernel && !kernel_refuses) {
      kernel = device;
      followed.kernel_has(kernel);
    }
    return step != kNothing;
  };
  for (const auto& [on_kernel, value] : changes) {
    (on_kernel ? kernel : device) = value % 4;
    if (value % 3 == 0) act(followed.look(kernel, device));
  }
  int steps = 0;
  for (int calm = 0; calm < 2; ++calm) {
    if (act(followed.look(kernel, device))) calm = -1, ++steps;
    if (std::exchange(answer_owed, false) && act(followed.device_answered(device))) calm = -1, ++steps;
    RC_ASSERT(steps < 6);
  }
  RC_ASSERT(!followed.waiting());
  if (!device_refuses && !kernel_refuses) RC_ASSERT(kernel == device);
}

}  // namespace
}  // namespace usernic
