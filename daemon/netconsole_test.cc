// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/netconsole.h"

#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "core/frame/inet_headers.h"
#include "daemon/log.h"
#include "testing/nic.h"

namespace usernic::daemon {
namespace {

struct NetconsoleTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<TestNic>({.name = "t0", .address = kMac});
  NetconsoleConfig config{.nic = "t0",
                          .local = std::string("\x0a\x09\x00\x01", 4),
                          .remote = std::string("\x0a\x09\x00\x02", 4),
                          .port = 6666};
  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->open()); }
  Frames& sent() { return static_cast<TestNic*>(dev->driver())->sent; }
};

// Checks all but the payload, which it returns.
std::string payload_of(const Frame& frame, bool v6) {
  const auto headers = inet::find_headers(frame, inet::Length::kSaid);
  EXPECT_TRUE(headers && headers->protocol == inet::kUdp && headers->v6 == v6 && headers->end == frame.size());
  if (!headers) return "";
  EXPECT_TRUE(inet::sums_are_right(frame, *headers));
  EXPECT_EQ(MacAddress::from_bytes(&frame[6]), kMac);
  EXPECT_EQ(frame[headers->transport + 2] << 8 | frame[headers->transport + 3], 6666);
  return {frame.begin() + headers->payload, frame.end()};
}

TEST_F(NetconsoleTest, ALineOfTheLogIsADatagram) {
  {
    const Netconsole console(*dev, config);
    log_warning("the card does not answer");
  }
  log_warning("and nobody hears this");
  const All all = sent().now();
  ASSERT_EQ(all.size(), 1u);
  const std::string line = payload_of(all[0], false);
  EXPECT_TRUE(line.ends_with(" warning the card does not answer\n")) << line;
  EXPECT_EQ(MacAddress::from_bytes(all[0].data()), MacAddress::from_u64(0xffff'ffff'ffff));
  EXPECT_EQ(all[0][14 + 16 + 3], 2) << "to the remote";
}

TEST_F(NetconsoleTest, OverIp6Too) {
  config.local = std::string(15, '\0') + "\x01", config.remote = std::string(15, '\0') + "\x02";
  const Netconsole console(*dev, config);
  log_info("x");
  const All all = sent().now();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(payload_of(all[0], true).ends_with(" info x\n"));
}

TEST_F(NetconsoleTest, ALongLineIsSeveral) {
  const Netconsole console(*dev, config);
  const std::string words(2500, 'w');
  log_info(words);
  ASSERT_TRUE(dev->change_mtu(100));
  log_info(std::string(100, 'v'));
  const All all = sent().now();
  std::string text;
  for (const Frame& each : all) text += payload_of(each, false);
  EXPECT_GE(all.size(), 3u + 2u);
  EXPECT_TRUE(text.contains(words + "\n"));
  EXPECT_TRUE(text.contains(std::string(100, 'v') + "\n"));
}

TEST(Log, WhatAListenerLogsIsNotToldToIt) {
  std::string heard;
  set_log_listener([&](std::string_view line) {
    heard += line;
    log_info("heard it");
  });
  log_info("once");
  set_log_listener({});
  EXPECT_TRUE(heard.ends_with(" info once\n")) << heard;
  EXPECT_FALSE(heard.contains("heard it"));
}

}  // namespace
}  // namespace usernic::daemon
