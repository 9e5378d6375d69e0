// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/follow.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

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

TEST(Followed, AKernelThatRefusesWhatTheDeviceAnsweredIsNotAskedAgain) {
  Followed<int> mtu(1500);
  EXPECT_EQ(mtu.look(1400, 1500), kTellDevice);
  EXPECT_EQ(mtu.device_answered(1450), kTellKernel);  // and it does not take it
  for (int i = 0; i < 5; ++i) EXPECT_EQ(mtu.look(1400, 1450), kNothing);
  EXPECT_EQ(mtu.look(1400, 1460), kTellKernel) << "until there is something new";
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

// --- Carrier: a value that is known only at times, and that the device changes by itself ---

TEST(FollowedCarrier, WhatIsNotKnownIsNoWish) {
  Followed<bool> carrier(true);
  EXPECT_EQ(carrier.look(false), kTellKernel) << "the device lost its link";
  carrier.kernel_has(false);
  EXPECT_EQ(carrier.look(false), kNothing) << "the picture is older than that: it still shows a carrier";
  EXPECT_EQ(carrier.look(true), kTellKernel) << "the device's own change needs no picture";
  carrier.kernel_has(true);
  EXPECT_EQ(carrier.look(true, true), kNothing);
}

TEST(FollowedCarrier, ALinkThatIsNotThereCannotBeTurnedOn) {
  Followed<bool> carrier(true);
  EXPECT_EQ(carrier.look(true, false), kTellKernel);
  carrier.kernel_has(false);
  EXPECT_EQ(carrier.look(true, false), kTellDevice) << "somebody turned it on at the kernel's side";
  EXPECT_EQ(carrier.look(false), kNothing) << "not answered";
  EXPECT_EQ(carrier.device_answered(false), kTellKernel);
  carrier.kernel_has(false);
  EXPECT_EQ(carrier.look(false, false), kNothing);
}

TEST(FollowedCarrier, ADeviceThatLosesItWhileAskedIsNotAskedAgain) {
  Followed<bool> carrier(true);
  EXPECT_EQ(carrier.look(false, true), kTellDevice);
  EXPECT_EQ(carrier.look(false, false), kNothing);
  EXPECT_EQ(carrier.device_answered(false), kNothing);
  EXPECT_EQ(carrier.look(false, true), kTellKernel) << "its link came back later";
}

// A wire, a switch that may hold the link down, pictures of the kernel's carrier that are looked at late or are not
// there: what the device is told somebody did at the kernel's side, and in the end both have what wire and switch say.
RC_GTEST_PROP(FollowedCarrierProperty, NoWishIsFalseAndBothSidesAgreeInTheEnd,
              (std::vector<uint8_t> moves, bool has_switch)) {
  bool kernel = true, wire = true, held = false;
  bool asked = false, asked_in_picture = false;  // somebody changed the kernel's since our own last change of it
  std::optional<bool> picture, wish;
  Followed<bool> followed(true);
  const auto device = [&] { return wire && !held; };
  int told = 0;
  const auto follow = [&] {
    FollowStep step = picture ? followed.look(*picture, device()) : followed.look(device());
    if (step == kNothing && !wish) step = followed.device_answered(device());
    if (step == kTellDevice) {
      RC_ASSERT(asked_in_picture);
      wish = *picture;
    }
    if (picture) asked_in_picture = false;
    if (step == kTellKernel) {
      kernel = device();
      followed.kernel_has(kernel);
      picture.reset();
      asked = asked_in_picture = false;  // the newest wins
    }
    if (step != kNothing) ++told;
  };
  const auto look = [&] {
    picture = kernel;
    asked_in_picture |= std::exchange(asked, false);
  };
  const auto carry_out = [&] {
    if (wish && has_switch) held = !*wish;
    wish.reset();
  };
  for (const uint8_t move : moves) {
    switch (move % 8) {
      case 0:
      case 1:
        if (kernel != (move % 8 == 1)) asked = true;
        kernel = move % 8 == 1;
        break;
      case 2:
        wire = !wire;
        break;
      case 3:
        look();
        break;
      case 4:
        carry_out();
        break;
      default:
        follow();
    }
  }
  told = 0;
  for (int i = 0; i < 4; ++i) {
    look();
    follow();
    carry_out();
    follow();
  }
  RC_ASSERT(kernel == device());
  RC_ASSERT(told <= 3);
  RC_ASSERT(has_switch || !held);
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
