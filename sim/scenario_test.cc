// SPDX-License-Identifier: Apache-2.0 OR MIT
// The scenarios: the same seed tells the same story, and no rule can be switched off unnoticed.
#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

#include "sim/runner.h"
#include "sim/rx_world.h"
#include "usernic/work.h"

// A history in which something was found is given up halfway, and frees nothing. What plays to its end is watched for
// leaks by sim.seeds.
extern "C" int __lsan_is_turned_off() {
  return 1;
}

namespace usernic::sim {
namespace {

constexpr uint64_t kSeedsMax = 3'000;

std::string trace_of(const Scenario& scenario, uint64_t seed) {
  std::string text;
  (void)play(scenario, seed, Mutation::kNone, [&text](const std::string& line) { text += line + "\n"; });
  return text;
}

TEST(ScenarioTest, TheSameSeedTellsTheSameStoryWhateverWasPlayedBefore) {
  for (const Scenario& scenario : all_scenarios()) {
    SCOPED_TRACE(scenario.name);
    const std::string once = trace_of(scenario, 5);
    for (uint64_t seed = 6; seed < 10; ++seed) (void)play(scenario, seed);
    (void)play(scenario, 5, Mutation::kR4);
    EXPECT_TRUE(once == trace_of(scenario, 5));
    EXPECT_FALSE(once == trace_of(scenario, 6));
    EXPECT_GT(once.size(), 1'000u);
  }
}

class MutationTest : public testing::TestWithParam<Mutation> {};

TEST_P(MutationTest, ARuleThatIsSwitchedOffIsNoticed) {
#ifdef __SANITIZE_ADDRESS__
  // That a freed device is used the sanitizer may be the first to notice: then it ends the program in the same way.
  if (GetParam() == Mutation::kPutEarly) {
    const auto notice = [] { std::_Exit(search(1, kSeedsMax, all_scenarios(), Mutation::kPutEarly) ? 1 : 0); };
    EXPECT_EXIT(notice(), testing::ExitedWithCode(1), "");
    return;
  }
#endif
  const auto found = search(1, kSeedsMax, all_scenarios(), GetParam());
  ASSERT_TRUE(found) << mutation_sentence(GetParam()) << ": not noticed within " << kSeedsMax << " seeds";
  EXPECT_FALSE(play(*found->scenario, found->seed).finding) << "with the rule, seed " << found->seed << " is clean";
}

INSTANTIATE_TEST_SUITE_P(All, MutationTest, testing::ValuesIn(all_mutations()), [](const auto& info) {
  std::string name(mutation_name(info.param));
  std::erase(name, '-');
  return name;
});

// Found by the simulator: a worker that ran many short items made a thread for each, until the new ones got to run.
TEST(FoundTest, ManyShortItemsDoNotMakeAThreadEach) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Scheduler scheduler({.seed = seed, .strategy = Strategy::kPct});
    const RunResult result = scheduler.run([] {
      Net net;
      Workqueue queue(net, "short", Workqueue::kOrdered);
      std::deque<Work> items;
      for (int i = 0; i < 100; ++i) items.emplace_back([] {});
      for (Work& item : items) queue.queue(item);
      queue.flush();
    });
    ASSERT_FALSE(result.finding) << "seed " << seed << ": " << result.finding->rule;
  }
}

}  // namespace
}  // namespace usernic::sim
