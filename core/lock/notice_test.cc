// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/notice.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/lock/notice.h"
#include "testing/plain_driver.h"
#include "usernic/net.h"

namespace usernic {
namespace {

TEST(NoticeTest, WithoutAHandlerItIsPrinted) {
  testing::internal::CaptureStderr();
  notice("a thread is refused: {}", 7);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "usernic: a thread is refused: 7\n");
}

TEST(NoticeTest, AHandlerHearsOfItWithTheDeviceAndNothingIsPrinted) {
  Net net;
  const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "n0"});
  std::vector<Notice> heard;
  set_notice_handler([&](const Notice& each) { heard.push_back(each); });
  testing::internal::CaptureStderr();
  notice("one");
  {
    const ReportsOn concerned(*dev);
    notice("two");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  (void)set_notice_handler({});
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0].text + heard[0].device, "one");
  EXPECT_EQ(heard[1].text, "two");
  EXPECT_EQ(heard[1].device, "n0 (driver PlainDriver)");
}

}  // namespace
}  // namespace usernic
