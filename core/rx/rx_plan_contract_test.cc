// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver owes its plan: to take its commands, and to answer each once, as it is. Each breach is a report that
// names the device and its driver.
#include <array>

#include "core/filter/plan_book.h"
#include "core/rx/rx_style_fixture.h"

namespace usernic {
namespace {

struct PlanCard {
  std::set<MacAddress> exact;
  std::function<void(RxPlan&)> once;  // instead of what is right
  uint32_t calls = 0;
};

struct CarelessDriver : Plain {
  CarelessDriver(NetDevice& dev, PlanCard& card) : Plain(dev), card_(card) {}
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 8, .multicast_slots = 8}; }
  void set_rx_mode_async(RxPlan& plan) {
    ++card_.calls;
    if (const auto wrong = std::exchange(card_.once, nullptr)) return wrong(plan);
    while (RxCommand* command = plan.next()) {
      if (command->kind == RxCommandKind::kAdd) card_.exact.insert(command->address);
      if (command->kind == RxCommandKind::kDel) card_.exact.erase(command->address);
      plan.answer(*command, {});
    }
  }
  PlanCard& card_;
};

struct RxPlanContractTest : StyleTest<CarelessDriver, PlanCard> {
  // The rules of what a driver broke that did `wrong` with a plan of two adds.
  std::string broken_by(std::function<void(RxPlan&)> wrong) {
    start();
    Reports reports;
    on_card([&](PlanCard& c) {
      c.once = std::move(wrong);
      EXPECT_TRUE(dev->mc().add(mc(1)));
      EXPECT_TRUE(dev->mc().add(mc(2)));
    });
    settle();
    EXPECT_EQ(on_card([](PlanCard& c) { return c.exact; }), (std::set{mc(1), mc(2)})) << "made good all the same";
    return on_card([&](PlanCard&) {
      for (const ContractReport& each : reports.all) {
        EXPECT_NE(each.device.find("t0"), std::string::npos) << each.device;
        EXPECT_NE(each.device.find("CarelessDriver"), std::string::npos) << each.device;
      }
      return reports.rules();
    });
  }
};

TEST_F(RxPlanContractTest, AnInventedCommandIsNoneOfThePlan) {
  // In memory one is before the plan, and one behind it.
  static RxCommand before{.kind = RxCommandKind::kAdd, .object = RxObject::kMulticast, .address = mc(1)};
  EXPECT_EQ(broken_by([this](RxPlan& plan) {
              RxCommand behind = before;
              plan.answer(before, {});
              plan.answer(behind, {});
              while (RxCommand* command = plan.next()) {
                RxCommand copy = *command;
                plan.answer(copy, fail(std::errc::io_error));
                card.exact.insert(command->address);
                plan.answer(*command, {});
              }
            }),
            "rx-command-unknown rx-command-unknown rx-command-unknown rx-command-unknown");
}

TEST_F(RxPlanContractTest, AnEditedCommandCountsAsItWas) {
  EXPECT_EQ(broken_by([this](RxPlan& plan) {
              while (RxCommand* command = plan.next()) {
                card.exact.insert(command->address);
                command->address = mc(9);
                command->kind = RxCommandKind::kDel;
                plan.answer(*command, {});
              }
            }),
            "rx-command-edited rx-command-edited");
  EXPECT_TRUE(mode.covered(mc(1)));
  EXPECT_FALSE(mode.covered(mc(9)));
}

TEST_F(RxPlanContractTest, OfTwoAnswersTheFirstCounts) {
  EXPECT_EQ(broken_by([](RxPlan& plan) {
              while (RxCommand* command = plan.next()) {
                plan.answer(*command, fail(std::errc::io_error));
                plan.answer(*command, {});
              }
            }),
            "rx-command-twice rx-command-twice");
  EXPECT_EQ(mode.status().stats.failures, 2u);
}

TEST_F(RxPlanContractTest, APlanThatIsNotTouchedIsAReportAndComesAgain) {
  EXPECT_EQ(broken_by([](RxPlan&) {}), "rx-plan-untouched");
}

TEST_F(RxPlanContractTest, ACommandThatIsTakenAndNotAnsweredHasFailed) {
  EXPECT_EQ(broken_by([](RxPlan& plan) { (void)plan.next(); }), "rx-command-unanswered");
  EXPECT_EQ(mode.status().stats.failures, 1u);
}

TEST_F(RxPlanContractTest, WhoIsAskedToStopMayLeaveThePlanAsItIs) {
  start();
  Reports reports;
  Event in_call;
  on_card([&](PlanCard& c) {
    c.once = [&](RxPlan& plan) {
      in_call.set();
      (void)plan.stop().wait_until(kForever);
    };
    EXPECT_TRUE(dev->mc().add(mc(1)));
  });
  ASSERT_TRUE(in_call.wait());
  on_card([](PlanCard&) {});  // parks the lane, which asks it to stop
  settle();
  EXPECT_EQ(reports.rules(), "");
  EXPECT_TRUE(mode.covered(mc(1)));
}

TEST(PlanBookTest, FindsACommandThatWasHandedOutAndNoOther) {
  std::array<RxStep, 4> all;
  const Atomic<uint64_t> epoch{0};
  for (RxStep& step : all) step.state = RxStep::State::kHandedOut;
  all[2].state = RxStep::State::kUntold;
  const std::span<RxStep> own(&all[1], 2);
  const PlanBook book(own, {}, {}, epoch, 0);
  EXPECT_EQ(book.find(all[1].shown), &all[1]);
  EXPECT_EQ(book.find(all[2].shown), nullptr) << "nobody was told of it";
  EXPECT_EQ(book.find(all[0].shown), nullptr) << "before its own";
  EXPECT_EQ(book.find(all[3].shown), nullptr) << "after its own";
  EXPECT_EQ(book.find(all[1].command), nullptr) << "a copy";
  EXPECT_EQ(PlanBook({}, {}, {}, epoch, 0).find(all[1].shown), nullptr);
}

}  // namespace
}  // namespace usernic
