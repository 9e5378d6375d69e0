// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/context.h"

#include <gtest/gtest.h>

#include "testing/watch.h"
#include "usernic/lock.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

constexpr LockClass kMutexClass{"a_mutex"};
constexpr LockClass kSpinClass{"a_spinlock"};

struct ContextTest : testing::Test {
  void SetUp() override {
    if (!kChecksOn) GTEST_SKIP() << "checks are off";
  }
  Reports reports;
};

TEST_F(ContextTest, AThreadBeginsInProcessContext) {
  EXPECT_EQ(current_context(), Context::kProcess);
  const BhScope bh;
  Context other = Context::kHardIrq;
  Thread("other", [&] { other = current_context(); }).join();
  EXPECT_EQ(other, Context::kProcess) << "contexts are each thread's own";
}

TEST_F(ContextTest, ScopesNestAndTheInnermostCounts) {
  {
    const BhScope bh;
    EXPECT_EQ(current_context(), Context::kBhDisabled);
    {
      const HardIrqScope irq;
      EXPECT_EQ(current_context(), Context::kHardIrq);
      {
        const BhScope again;
        EXPECT_EQ(current_context(), Context::kBhDisabled);
      }
      EXPECT_EQ(current_context(), Context::kHardIrq);
    }
    EXPECT_EQ(current_context(), Context::kBhDisabled);
  }
  EXPECT_EQ(current_context(), Context::kProcess);
}

TEST_F(ContextTest, ASpinLockTakenAndReleasedInAScopeDoesNotEndTheScope) {
  SpinLock lock{kSpinClass};
  const BhScope bh;
  { const SpinGuardBh guard(lock); }
  EXPECT_EQ(current_context(), Context::kBhDisabled);
}

TEST_F(ContextTest, SleepingInProcessContextIsNoReport) {
  { const BhScope over; }
  { const HardIrqScope over; }
  might_sleep();
  Mutex mutex{kMutexClass};
  const MutexGuard guard(mutex);
  might_sleep();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(ContextTest, SleepingInBhContextIsReportedWithBothPlaces) {
  const std::string entered = next_line();
  const BhScope bh;
  const std::string slept = next_line();
  might_sleep();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), slept);
  EXPECT_EQ(at(reports.all[0].there), entered);
  EXPECT_EQ(reports.all[0].text, "may sleep in BH disabled context");
}

TEST_F(ContextTest, SleepingInHardIrqContextIsReportedWithBothPlaces) {
  const BhScope bh;
  const std::string entered = next_line();
  const HardIrqScope irq;
  const std::string slept = next_line();
  might_sleep();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), slept);
  EXPECT_EQ(at(reports.all[0].there), entered) << "the innermost scope that forbids it";
  EXPECT_EQ(reports.all[0].text, "may sleep in hard irq context");
}

TEST_F(ContextTest, TheOuterScopeStillForbidsSleepingAfterTheInnerOneEnded) {
  const std::string entered = next_line();
  const BhScope bh;
  { const HardIrqScope over; }
  might_sleep();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].there), entered);
}

TEST_F(ContextTest, TakingAMutexInAtomicContextIsReportedEvenIfItIsFree) {
  Mutex mutex{kMutexClass};
  const std::string entered = next_line();
  const BhScope bh;
  const std::string taken = next_line();
  mutex.lock();
  mutex.unlock();
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(at(reports.all[0].here), taken);
  EXPECT_EQ(at(reports.all[0].there), entered);
}

TEST_F(ContextTest, TakingASpinLockInAnyContextIsFine) {
  static constexpr LockClass kIrqClass{"of_an_irq_handler"};
  SpinLock lock{kIrqClass};
  { const SpinGuardIrq guard(lock); }
  const HardIrqScope irq;
  { const SpinGuard guard(lock); }
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(ContextTest, TheHandlerIsExchangedAndItsPredecessorReturned) {
  int first = 0, second = 0;
  ReportHandler mine = set_report_handler([&](const ContractReport&) { ++first; });
  report_contract("a-rule", "a sentence", Place::current());
  ReportHandler was_first = set_report_handler([&](const ContractReport&) { ++second; });
  report_contract("a-rule", "a sentence", Place::current());
  was_first({});
  set_report_handler(std::move(mine));
  report_contract("a-rule", "a sentence", Place::current());
  EXPECT_EQ(first, 2);
  EXPECT_EQ(second, 1);
  EXPECT_EQ(reports.rules(), "a-rule");
}

TEST_F(ContextTest, AReportCarriesRuleSentenceAndPlaces) {
  const Place there = Place::current();
  const std::string here = next_line();
  report_contract("a-rule", "a sentence", Place::current(), there);
  report_contract("another", "", Place::current());
  ASSERT_EQ(reports.rules(), "a-rule another");
  EXPECT_EQ(reports.all[0].text, "a sentence");
  EXPECT_EQ(at(reports.all[0].here), here);
  EXPECT_EQ(at(reports.all[0].there), at(there));
  EXPECT_EQ(reports.all[1].there.line(), 0u) << "no second place";
}

TEST_F(ContextTest, WhatAHandlerBreaksItselfIsNotReportedAgain) {
  reports.on_report = [] {
    might_sleep();
    report_contract("inner", "", Place::current());
  };
  const BhScope bh;
  might_sleep();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
  reports.on_report = {};
  might_sleep();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic sleep-in-atomic") << "and afterwards reports are on again";
}

TEST_F(ContextTest, ManyThreadsMayReportAtOnce) {
  Event reported;
  ReportHandler mine = set_report_handler([&](const ContractReport&) { reported.set(); });
  {
    Thread threads[4];
    for (Thread& thread : threads) {
      thread = Thread("reporter", [] {
        const BhScope bh;
        for (int i = 0; i < 100; ++i) might_sleep();
      });
    }
  }
  set_report_handler(std::move(mine));
  EXPECT_EQ(reported.count(), 400u);
}

TEST(ContextDeathTest, WithoutAHandlerAReportPrintsBothPlacesAndAborts) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const auto sleep_in_bh = [] {
    const BhScope bh;
    might_sleep();
  };
  EXPECT_DEATH(sleep_in_bh(),
               "contract broken \\[sleep-in-atomic\\](.|\n)*here: .*context_test.cc:[0-9]+(.|\n)*"
               "there: .*context_test.cc:[0-9]+");
}

TEST(ContextDeathTest, MoreScopesThanAnybodyNeedsIsAReport) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const auto nest = [](auto&& self, int depth) -> void {
    const BhScope bh;
    if (depth > 0) self(self, depth - 1);
  };
  nest(nest, 50);
  EXPECT_DEATH(nest(nest, 100), "too-deep");
}

}  // namespace
}  // namespace usernic
