// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: for tests that need a TAP, tap0, in a namespace of its own.
#pragma once

#include <optional>

#include "host/namespace_fixture.h"
#include "host/rtnetlink.h"
#include "host/tap.h"

namespace usernic {

class TapFixture : public TapNamespaceTest {
 protected:
  void SetUp() override {
    TapNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto tap = Tap::create(*netns_, "tap0");
    ASSERT_TRUE(tap) << tap.error().sentence;
    tap_.emplace(std::move(*tap));
    auto rtnetlink = Rtnetlink::open(*netns_);
    ASSERT_TRUE(rtnetlink) << rtnetlink.error().sentence;
    rtnetlink_.emplace(std::move(*rtnetlink));
    auto ifindex = rtnetlink_->ifindex("tap0");
    ASSERT_TRUE(ifindex) << ifindex.error().sentence;
    ifindex_ = *ifindex;
  }

  std::optional<Tap> tap_;
  std::optional<Rtnetlink> rtnetlink_;
  int ifindex_ = 0;
};

}  // namespace usernic
