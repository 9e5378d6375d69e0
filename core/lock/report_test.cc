// SPDX-License-Identifier: Apache-2.0 OR MIT
// Reports name the device that they concern, and its driver.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/lower_link.h"
#include "usernic/napi.h"
#include "usernic/own_addresses.h"
#include "usernic/rules.h"
#include "usernic/rx_mode.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// Sleeps where the test says that it shall not.
struct Sleepy {
  explicit Sleepy(NetDevice& dev) : dev_(dev), napi(dev, *this) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    napi.enable();
    return {};
  }
  void stop() { napi.disable(); }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    might_sleep();
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  int poll(Napi& of, int) noexcept USERNIC_NONBLOCKING {
    might_sleep();
    of.complete_done(0);
    polled.set();
    return 0;
  }
  void get_stats(LinkStats&) const noexcept USERNIC_NONBLOCKING { might_sleep(); }
  NetDevice& dev_;
  Napi napi;
  Event polled;
};

template <class T>
struct OfATemplate : PlainDriver {
  using PlainDriver::PlainDriver;
};
struct Called : PlainDriver {
  using PlainDriver::PlainDriver;
  static constexpr std::string_view kDriverName = "e1000";
};

struct ReportTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<Sleepy>({.name = "nic%d"});
  Reports reports;
  Sleepy& driver() { return *static_cast<Sleepy*>(dev->driver()); }

  // What was reported since the last call: "rule of device, ...".
  std::string reported() {
    std::string text;
    for (const ContractReport& each : std::exchange(reports.all, {})) {
      text += (text.empty() ? "" : ", ") + each.rule + " of " + each.device;
    }
    return text;
  }
};

TEST_F(ReportTest, ADriverIsCalledByItsTypeOrAsItSays) {
  EXPECT_EQ(dev->driver_name(), "Sleepy");
  EXPECT_EQ((*net.alloc_netdev<OfATemplate<std::vector<int>>>({}))->driver_name(), "OfATemplate");
  EXPECT_EQ((*net.alloc_netdev<Called>({}))->driver_name(), "e1000");
  struct Local : PlainDriver {
    using PlainDriver::PlainDriver;
  };
  EXPECT_EQ((*net.alloc_netdev<Local>({}))->driver_name(), "Local");
}

TEST_F(ReportTest, InADriversCallsItIsThatDevice) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  SkbPool pool(1, 64);
  send(*dev, pool, {Frame(60)});
  EXPECT_EQ(reported(), "sleep-in-atomic of nic0 (driver Sleepy)");
  (void)dev->stats();
  EXPECT_EQ(reported(), "sleep-in-atomic of nic0 (driver Sleepy)");
  (void)driver().napi.schedule();
  ASSERT_TRUE(driver().polled.wait());
  driver().napi.synchronize();
  EXPECT_EQ(reported(), "sleep-in-atomic of nic0 (driver Sleepy)");
}

TEST_F(ReportTest, InWhatOperatesADeviceItIsThatOne) {
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  (void)dev->register_netdev();
  EXPECT_EQ(reported(), "register-twice of nic0 (driver Sleepy)");
  driver().napi.enable();
  EXPECT_EQ(reported(), "napi-enable-twice of nic0 (driver Sleepy)");
  put_untracked(*dev);
  EXPECT_EQ(reported(), "ref-underflow of nic0 (driver Sleepy)");
  dev->lane().unpark();
  EXPECT_EQ(reported(), "unpark-unparked of nic0 (driver Sleepy)");
  Work waits([&] { (void)dev->rx_mode().settle(Clock::now()); });
  dev->lane().queue(waits);
  waits.flush();
  EXPECT_EQ(reported(), "wait-on-lane of nic0 (driver Sleepy)");
  if (!kChecksOn) return;
  (void)dev->own_addresses().del(kMac, HwAddr::kLan);
  EXPECT_EQ(reported(), "not-held of nic0 (driver Sleepy)");
  (void)uppers_of(*dev);
  EXPECT_EQ(reported(), "not-held of nic0 (driver Sleepy)");
  {
    const BhScope bh;
    (void)dev->close();
  }
  EXPECT_TRUE(reported().starts_with("sleep-in-atomic of nic0 (driver Sleepy)"));
}

TEST_F(ReportTest, AnItemWithAnOwnerConcernsItAndTheInnermostCounts) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  ASSERT_TRUE(dev->register_netdev());
  const NetdevPtr other = *net.alloc_netdev<PlainDriver>({.name = "other"});
  Work owned(
      [&] {
        const BhScope bh;
        might_sleep();
        {
          const ReportsOn concerned(*other);
          might_sleep();
        }
        might_sleep();
      },
      dev.get());
  net.system_workqueue().queue(owned);
  owned.flush();
  EXPECT_EQ(reported(),
            "sleep-in-atomic of nic0 (driver Sleepy), sleep-in-atomic of other (driver PlainDriver), "
            "sleep-in-atomic of nic0 (driver Sleepy)");
  report_contract("a-rule", "of nobody", Place::current());
  EXPECT_EQ(reported(), "a-rule of ");
}

TEST_F(ReportTest, AReportSaysInWhichOpUnderWhichLocksAndWhatWouldBeRight) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  SkbPool pool(1, 64);
  send(*dev, pool, {Frame(60)});
  ASSERT_EQ(reports.all.size(), 1u);
  EXPECT_EQ(reports.all[0].op, "start_xmit");
  EXPECT_EQ(reports.all[0].held, "xmit_lock");
  EXPECT_EQ(reports.all[0].right, find_rule("sleep-in-atomic")->right);
  report_contract("a-rule", "outside of every op", Place::current());
  EXPECT_EQ(reports.all[1].op + reports.all[1].held + reports.all[1].right, "");
}

TEST_F(ReportTest, ItsTextHasALineForEachThatIsKnown) {
  ASSERT_TRUE(dev->register_netdev());
  report_contract(*dev, "a-rule", "a sentence", Place::current());
  const Place where = Place::current();
  report_contract("frame-too-long", "a sentence", where, where, "more\n");
  ASSERT_EQ(reports.all.size(), 2u);
  const std::string place = place_text(reports.all[0].here);
  EXPECT_EQ(report_text(reports.all[0]),
            "contract broken [a-rule]: a sentence\n  device: nic0 (driver Sleepy)\n  here:   " + place + "\n");
  EXPECT_EQ(
      report_text(reports.all[1]),
      fmt::format("contract broken [frame-too-long]: a sentence\n  right:  {}\n  here:   {}\n  there:  {}\nmore\n",
                  find_rule("frame-too-long")->right, place_text(where), place_text(where)));
}

TEST(ReportDeathTest, ItGoesOnAfterItIsPrintedWhereItIsToldTo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a program of its own: the environment is read once
  ::setenv("USERNIC_ON_REPORT", "continue", 1);
  const auto break_it = [] {
    report_contract("a-rule", "a sentence", Place::current());
    std::exit(0);
  };
  EXPECT_EXIT(break_it(), testing::ExitedWithCode(0), "^usernic: contract broken \\[a-rule\\]: a sentence\n  here: ");
  ::unsetenv("USERNIC_ON_REPORT");
}

TEST(ReportDeathTest, ANameOfNoRuleAmongTheIgnoredOnesIsSaidOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a program of its own: names are read once
  const auto break_two = [] {
    ::setenv("USERNIC_IGNORE_RULES", "napi-overun,skb-kept", 1);
    (void)set_report_handler([](const ContractReport& report) { fmt::print(stderr, "reported {}\n", report.rule); });
    for (const char* const rule : {"napi-overrun", "skb-kept", "frame-too-long"})
      report_contract(rule, "a sentence", Place::current());
    std::exit(0);
  };
  EXPECT_EXIT(break_two(), testing::ExitedWithCode(0),
              "^usernic: USERNIC_IGNORE_RULES names 'napi-overun', which is no rule: docs/contract.md lists them\n"
              "reported napi-overrun\nreported frame-too-long\n$");
}

TEST(ReportDeathTest, WhatIsPrintedHasTheDevice) {
  const auto break_it = [] {
    Net net;
    const NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "nic0"});
    report_contract(*dev, "a-rule", "a sentence", Place::current());
  };
  EXPECT_DEATH(break_it(),
               "contract broken \\[a-rule\\]: a sentence\n  device: nic0 \\(driver PlainDriver\\)\n  here: ");
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
