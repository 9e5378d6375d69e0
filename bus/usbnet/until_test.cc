// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/until.h"

#include <gtest/gtest.h>

namespace usernic::usb {
namespace {

TEST(UsbUntilTest, LooksUntilItIsSo) {
  int looks = 0;
  EXPECT_TRUE(until({}, [&]() -> Result<bool> { return ++looks == 5; }));
  EXPECT_EQ(looks, 5);
}

TEST(UsbUntilTest, ALookThatFailsIsTheLast) {
  int looks = 0;
  const auto look = [&]() -> Result<bool> { return ++looks < 2 ? Result<bool>(false) : fail(std::errc::io_error); };
  EXPECT_EQ(until({}, look).error(), std::errc::io_error);
  EXPECT_EQ(looks, 2);
}

TEST(UsbUntilTest, AStopEndsIt) {
  StopSource source;
  int looks = 0;
  const auto look = [&]() -> Result<bool> {
    if (++looks == 2) source.request_stop();
    return false;
  };
  EXPECT_EQ(until(source.token(), look).error(), std::errc::operation_canceled);
  EXPECT_EQ(looks, 2);
}

TEST(UsbUntilTest, HoweverSlowALookIsThereAreSome) {
  const Time patience_ends = Clock::now() + kBusyMost;
  int looks = 0;
  const auto slow = [&]() -> Result<bool> {
    while (Clock::now() < patience_ends) (void)StopToken().wait_until(patience_ends);
    ++looks;
    return false;
  };
  EXPECT_EQ(until({}, slow).error(), std::errc::timed_out);
  EXPECT_GE(looks, kLooksLeast);
}

}  // namespace
}  // namespace usernic::usb
