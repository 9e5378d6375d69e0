// SPDX-License-Identifier: Apache-2.0 OR MIT
// The card's mailbox: commands, faults, reset, latency.
#include <gtest/gtest.h>

#include "drivers/simnic/card_fixture.h"
#include "usernic/thread.h"

namespace usernic::simnic {
namespace {

constexpr Message kPromiscOn{Op::kOn, Table::kPromisc};

TEST_F(CardTest, FaultsAreUsedUp) {
  ASSERT_TRUE(card.inject({.count = 2}));
  EXPECT_EQ(error_of(card.execute(add(unicast(1)))), std::errc::io_error);
  EXPECT_EQ(error_of(card.execute(kPromiscOn)), std::errc::io_error);
  EXPECT_TRUE(card.filter().unicast.empty()) << "a refusal does nothing";
  EXPECT_TRUE(card.execute(add(unicast(1))));
}

TEST_F(CardTest, PermanentFaultLastsUntilCleared) {
  ASSERT_TRUE(card.inject({.error = std::errc::operation_not_supported, .count = Fault::kAlways}));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(error_of(card.execute(add(unicast(1)))), std::errc::operation_not_supported);
  }
  card.clear_faults();
  EXPECT_TRUE(card.execute(add(unicast(1))));
}

TEST_F(CardTest, FaultForOneAddress) {
  ASSERT_TRUE(card.inject({.count = Fault::kAlways, .address = unicast(2)}));
  EXPECT_TRUE(card.execute(add(unicast(1))));
  EXPECT_FALSE(card.execute(add(unicast(2))));
  EXPECT_TRUE(card.execute(kPromiscOn));
  EXPECT_FALSE(card.execute(del(unicast(2))));
}

TEST_F(CardTest, FaultOnUnprogramOnly) {
  ASSERT_TRUE(card.inject({.unprogram_only = true}));
  EXPECT_TRUE(card.execute(add(unicast(1))));
  EXPECT_FALSE(card.execute(del(unicast(1))));
  EXPECT_TRUE(card.accepts(unicast(1)));
  EXPECT_TRUE(card.execute(del(unicast(1))));
}

TEST_F(CardTest, AppliedButReportedFailed) {
  ASSERT_TRUE(card.inject({.count = 2, .applied = true}));
  EXPECT_EQ(error_of(card.execute(add(unicast(1)))), std::errc::io_error);
  EXPECT_TRUE(card.accepts(unicast(1)));
  EXPECT_EQ(error_of(card.execute(del(unicast(1)))), std::errc::io_error);
  EXPECT_FALSE(card.accepts(unicast(1)));
}

TEST_F(CardTest, TheOldestFaultThatFitsIsMet) {
  ASSERT_TRUE(card.inject({.error = std::errc::timed_out, .address = unicast(1)}));
  ASSERT_TRUE(card.inject({.error = std::errc::io_error}));
  EXPECT_EQ(error_of(card.execute(add(unicast(2)))), std::errc::io_error);
  EXPECT_EQ(error_of(card.execute(add(unicast(1)))), std::errc::timed_out);
  for (size_t i = 0; i < Faults::kMax; ++i) ASSERT_TRUE(card.inject({}));
  EXPECT_EQ(error_of(card.inject({})), std::errc::no_buffer_space);
}

TEST_F(CardTest, TableSmallerThanDeclared) {
  card.limit_slots(Table::kMulticast, 1);
  EXPECT_TRUE(card.execute(add(multicast(1))));
  EXPECT_EQ(error_of(card.execute(add(multicast(2)))), std::errc::no_space_on_device);
}

// Rule R8: from the moment the filter is empty until the driver knows, every command fails.
TEST_F(CardTest, ResetForgetsAndRefusesUntilAcknowledged) {
  ASSERT_TRUE(card.execute(add(unicast(1))));
  ASSERT_TRUE(card.execute(kPromiscOn));
  card.write(Reg::kOwnAddress, kOwnB.to_u64());
  card.reset();
  EXPECT_EQ(event_irqs, 1u);
  EXPECT_EQ(card.read(Reg::kEventCause), kEventReset);
  EXPECT_FALSE(card.accepts(unicast(1)) || card.accepts(kOwnB));
  EXPECT_TRUE(card.accepts(kOwnA)) << "the permanent address";
  for (const Message& message : {add(unicast(1)), del(unicast(1)), kPromiscOn}) {
    EXPECT_EQ(error_of(card.execute(message)), std::errc::io_error);
  }
  card.write(Reg::kResetAck, 0);
  EXPECT_FALSE(card.execute(add(unicast(1))));
  card.write(Reg::kResetAck, 1);
  EXPECT_TRUE(card.execute(add(unicast(1))));
  EXPECT_EQ(card.filter().unicast, std::vector{unicast(1)});
}

TEST_F(CardTest, FilterClearRegisterEmptiesTheFilterButKeepsTheOwnAddress) {
  ASSERT_TRUE(card.execute(add(unicast(1))));
  card.write(Reg::kOwnAddress, kOwnB.to_u64());
  card.write(Reg::kFilterClear, 1);
  EXPECT_FALSE(card.accepts(unicast(1)));
  EXPECT_TRUE(card.accepts(kOwnB));
}

TEST_F(CardTest, TransactionTakesTheCommandLatency) {
  card.set_command_latency(std::chrono::milliseconds(20));
  const Time start = Clock::now();
  EXPECT_TRUE(card.begin(StopToken()));
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(20));
  EXPECT_EQ(card.transactions(), 1u);
}

TEST_F(CardTest, StopEndsATransactionThatTakesForEver) {
  card.set_command_latency(std::chrono::hours(1));
  StopSource stop;
  Result<> result;
  Thread driver("driver", [&] { result = card.begin(stop.token()); });
  ASSERT_TRUE(card.wait_transactions(1, soon()));
  stop.request_stop();
  driver.join();
  EXPECT_EQ(error_of(result), std::errc::operation_canceled);
}

TEST_F(CardTest, AStoppedTransactionDoesNotSleepAtAll) {
  StopSource stop;
  stop.request_stop();
  EXPECT_EQ(error_of(card.begin(stop.token())), std::errc::operation_canceled);
}

}  // namespace
}  // namespace usernic::simnic
