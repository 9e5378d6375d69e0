// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/netconsole.h"

#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "core/frame/inet_headers.h"
#include "daemon/log.h"
#include "testing/nic.h"
#include "usernic/contract_report.h"

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
  const All all = sent().wait(1);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(payload_of(all[0], true).ends_with(" info x\n"));
}

TEST_F(NetconsoleTest, ALongLineIsSeveral) {
  const std::string words(2500, 'w');
  {
    const Netconsole console(*dev, config);
    log_info(words);
  }
  const All whole = sent().now();
  EXPECT_EQ(whole.size(), 3u);
  ASSERT_TRUE(dev->change_mtu(100));
  {
    const Netconsole console(*dev, config);
    log_info(std::string(100, 'v'));
  }
  const All small = sent().now();
  EXPECT_GE(small.size(), 2u);
  std::string text;
  for (const All& all : {whole, small}) {
    for (const Frame& each : all) text += payload_of(each, false);
  }
  EXPECT_TRUE(text.contains(words + "\n"));
  EXPECT_TRUE(text.contains(std::string(100, 'v') + "\n"));
}

// A NIC whose driver takes a lock of its own wherever it is called.
struct LockingNic {
  explicit LockingNic(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SpinGuard guard(lock);
    sent.note(skb);
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  void poll_controller() noexcept USERNIC_NONBLOCKING {
    SpinGuard guard(lock);
    polled.set();
  }

  static constexpr LockClass kClass{"locking_nic", LockUse::kAnyContext};
  SpinLock lock{kClass};
  Frames sent;
  Event polled;

 private:
  NetDevice& dev_;
};

TEST_F(NetconsoleTest, WhoLogsUnderTheDriversOwnLocksIsNotWaitedFor) {
  const NetdevPtr locking = *net.alloc_netdev<LockingNic>({.name = "t1", .address = kMac});
  ASSERT_TRUE(locking->register_netdev() && locking->open());
  LockingNic& nic = *static_cast<LockingNic*>(locking->driver());
  const Netconsole console(*locking, config);
  ReportHandler before = set_report_handler([](const ContractReport& report) { log_warning(report.text); });
  const auto report = [](const char* what) { report_contract("ndo-throws", what, Place::current()); };
  {
    SpinGuardBh guard(nic.lock);
    report("from within");
  }
  EXPECT_TRUE(payload_of(nic.sent.wait(1).front(), false).ends_with(" warning from within\n"));
  {
    SpinGuardBh sending(locking->tx_queue(0).xmit_lock());
    report("from start_xmit");
  }
  EXPECT_TRUE(payload_of(nic.sent.wait(1).front(), false).ends_with(" warning from start_xmit\n"));
  (void)set_report_handler(std::move(before));
}

TEST_F(NetconsoleTest, WhatFindsNoRoomAtTheEndIsWaitedFor) {
  const NetdevPtr full = *net.alloc_netdev<LockingNic>({.name = "t1", .address = kMac});
  ASSERT_TRUE(full->register_netdev() && full->open());
  LockingNic& nic = *static_cast<LockingNic*>(full->driver());
  full->tx_queue(0).stop();
  Event ended;
  std::optional<Netconsole> console(std::in_place, *full, config, kLong);
  log_info("last words");
  Thread ends("ends", [&] {
    console.reset();
    ended.set();
  });
  EXPECT_TRUE(nic.polled.wait(20)) << "it has tried as often as it does";
  full->tx_queue(0).wake();
  EXPECT_TRUE(ended.wait());
  const auto sent = nic.sent.wait(1);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_TRUE(payload_of(sent.front(), false).ends_with(" info last words\n"));
}

TEST(Log, ItStartsOnce) {
  start_log();
  start_log();
  log_info("still written");
  end_log(soon());
}

TEST(Log, WhatIsSaidWhereItIsWrittenIsNotWrittenThere) {
  std::string heard;
  const auto writer = std::make_shared<LogWriter>("test", [&](std::string_view lines) {
    heard += lines;
    log_info("heard it");
    return true;
  });
  writer->start();
  log_also_to(writer);
  log_info("once");
  EXPECT_TRUE(writer->flush(soon()));
  log_also_to(nullptr);
  writer->end();
  EXPECT_TRUE(heard.ends_with(" info once\n")) << heard;
  EXPECT_FALSE(heard.contains("heard it"));
}

TEST(Log, ItsEndIsWhenAllHaveWritten) {
  start_log();
  std::string heard;
  Event asked;
  const auto writer = std::make_shared<LogWriter>("test", [&](std::string_view lines) {
    asked.wait();
    heard += lines;
    return true;
  });
  writer->start();
  log_also_to(writer);
  log_info("last words");
  asked.set();
  end_log(soon());
  EXPECT_TRUE(heard.contains("last words")) << heard;
  log_also_to(nullptr);
  writer->end();
}

}  // namespace
}  // namespace usernic::daemon
