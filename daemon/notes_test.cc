// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/notes.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/lock/notice.h"
#include "daemon/log.h"
#include "daemon/log_writer.h"
#include "testing/watch.h"

// Before what the environment decides is decided.
__attribute__((constructor(101))) static void reports_go_on() {
  ::setenv("USERNIC_ON_REPORT", "continue", 1);
}

namespace usernic::daemon {
namespace {

struct NotesTest : testing::Test {
  Notes notes;
  std::string logged;
  const std::shared_ptr<LogWriter> writer = std::make_shared<LogWriter>("test", [this](std::string_view lines) {
    logged += lines;
    return true;
  });
  NotesTest() {
    writer->start();
    log_also_to(writer);
  }
  ~NotesTest() override {
    log_also_to(nullptr);
    writer->end();
  }
  const std::string& log() {
    EXPECT_TRUE(writer->flush(soon()));
    return logged;
  }
};

TEST_F(NotesTest, AHangIsALineOfTheLogAndAnEvent) {
  const Patience before = set_patience({.first = std::chrono::milliseconds(1), .then = Duration::max()});
  {
    Atomic<uint32_t> word{0};
    LongWait wait("a card that never answers");
    for (int i = 0; i < 1000 && log().empty(); ++i) wait.on(word, 0);
  }
  set_patience(before);
  EXPECT_TRUE(log().contains("somebody waits since 0 s for a card that never answers; entered at")) << log();
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), 2u) << "that it waits, and that it is over";
  EXPECT_EQ(events[0].what, "hang");
  EXPECT_TRUE(events[0].says.contains("for a card that never answers")) << events[0].says;
  EXPECT_TRUE(events[1].says.contains("has waited")) << events[1].says;
  EXPECT_TRUE(notes.take().empty());
}

TEST_F(NotesTest, AReportIsTheSameAndItGoesOn) {
  ASSERT_FALSE(kReportsAbort);
  report_contract("ndo-throws", "open of 'x' throws: 7", Place::current());
  EXPECT_TRUE(log().contains("contract broken [ndo-throws]: open of 'x' throws: 7")) << log();
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, "report");
  EXPECT_TRUE(events[0].says.contains("right:  answer an errno")) << events[0].says;
}

TEST_F(NotesTest, WhatIsBrokenAgainAndAgainIsSaidLessAndLess) {
  for (int i = 0; i < 1000; ++i) report_contract("ndo-throws", "open throws", Place::current());
  report_contract("ndo-throws", "open throws elsewhere", Place::current());
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), 10u + 1) << "the 1st, 2nd, 4th and so on to the 512th time";
  EXPECT_FALSE(events[0].says.contains("times:")) << events[0].says;
  EXPECT_TRUE(events[9].says.contains("  times:  512\n")) << events[9].says;
  EXPECT_TRUE(events[10].says.contains("elsewhere")) << events[10].says;
}

TEST_F(NotesTest, ANoticeIsTheSame) {
  notice("n0 (driver X): TX queue 0 is stopped for {:g} s, and nobody wakes it", 0.5);
  EXPECT_TRUE(log().contains(" warning n0 (driver X): TX queue 0 is stopped for 0.5 s, and nobody wakes it\n"))
      << log();
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, "notice");
  EXPECT_TRUE(events[0].says.starts_with("n0 (driver X): TX queue 0")) << events[0].says;
}

TEST_F(NotesTest, TheLastOnesAreKept) {
  for (size_t i = 0; i < Notes::kMost + 5; ++i) report_contract(std::to_string(i), "", Place::current());
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), Notes::kMost);
  EXPECT_TRUE(events[0].says.contains("[5]")) << events[0].says;
}

}  // namespace
}  // namespace usernic::daemon
