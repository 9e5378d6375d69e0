// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/notes.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "daemon/log.h"
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
  NotesTest() {
    set_log_listener([this](std::string_view line) { logged += line; });
  }
  ~NotesTest() override { set_log_listener({}); }
};

TEST_F(NotesTest, AHangIsALineOfTheLogAndAnEvent) {
  const Patience before = set_patience({.first = std::chrono::milliseconds(1), .then = Duration::max()});
  {
    Atomic<uint32_t> word{0};
    LongWait wait("a card that never answers");
    for (int i = 0; i < 1000 && logged.empty(); ++i) wait.on(word, 0);
  }
  set_patience(before);
  EXPECT_TRUE(logged.contains("somebody waits since 0 s for a card that never answers; entered at")) << logged;
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
  EXPECT_TRUE(logged.contains("contract broken [ndo-throws]: open of 'x' throws: 7")) << logged;
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, "report");
  EXPECT_TRUE(events[0].says.contains("right:  answer an errno")) << events[0].says;
}

TEST_F(NotesTest, TheLastOnesAreKept) {
  for (size_t i = 0; i < Notes::kMost + 5; ++i) report_contract("ndo-throws", std::to_string(i), Place::current());
  const std::vector<ctl::Event> events = notes.take();
  ASSERT_EQ(events.size(), Notes::kMost);
  EXPECT_TRUE(events[0].says.contains("]: 5\n")) << events[0].says;
}

}  // namespace
}  // namespace usernic::daemon
