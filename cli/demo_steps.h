// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the steps of the demo. Each shows what it does, measures it into the report, and fails with a sentence when
// something did not go as it should.
#pragma once

#include <cstdint>
#include <string>

#include "cli/demo_lab.h"
#include "cli/demo_report.h"

namespace usernic::cli {

// When a step gives up what takes a second at most where nobody else wants the machine.
inline constexpr uint64_t kPatienceMs = 60'000;

// Lines for people; silent with --json.
class Narrator {
 public:
  Narrator(bool speaks, bool bold) : speaks_(speaks), bold_(bold) {}
  void title(const std::string& text);
  void line(const std::string& text);

 private:
  const bool speaks_;
  const bool bold_;
};

ctl::Outcome<> show_lab(DemoLab& lab, Narrator& say, DemoReport& report);
ctl::Outcome<> ping_across(DemoLab& lab, Narrator& say, DemoReport& report);
ctl::Outcome<> join_groups(DemoLab& lab, Narrator& say, DemoReport& report);  // demo_joins.cc
ctl::Outcome<> change_in_a_burst(DemoLab& lab, Narrator& say, DemoReport& report);
ctl::Outcome<> overflow_the_filter(DemoLab& lab, Narrator& say, DemoReport& report);  // demo_overflow.cc

}  // namespace usernic::cli
// Explained best by: tests/e2e
