// SPDX-License-Identifier: Apache-2.0 OR MIT
// Each rule of the filter, switched off alone, is found by the histories of testing/filter_world.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "sim/runner.h"
#include "testing/chance.h"
#include "testing/filter_world.h"
#include "testing/watch.h"

namespace usernic {
namespace {

constexpr uint64_t kHistories = 100'000;

struct Found {
  uint64_t seed;
  std::string what;
};
std::optional<Found> find(uint64_t histories) {
  for (uint64_t seed = 1; seed <= histories; ++seed) {
    Chance chance(seed);
    FilterWorld world(chance);
    try {
      world.play(static_cast<uint32_t>(5 + chance.below(60)));
    } catch (const Finding& finding) {
      return Found{seed, finding.what()};
    }
  }
  return std::nullopt;
}

class FilterMutation : public testing::TestWithParam<Mutation> {
 protected:
  void TearDown() override { active_mutation = Mutation::kNone; }
};

TEST_P(FilterMutation, IsFoundWithoutARun) {
  active_mutation = GetParam();
  const auto found = find(kHistories);
  ASSERT_TRUE(found.has_value()) << "not in " << kHistories << " histories";
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(found->seed), found->what.c_str());
}
INSTANTIATE_TEST_SUITE_P(Rules, FilterMutation,
                         testing::Values(Mutation::kR2, Mutation::kR3, Mutation::kR4, Mutation::kR5,
                                         Mutation::kR7InFlight, Mutation::kR11, Mutation::kR12, Mutation::kR13,
                                         Mutation::kR14, Mutation::kUnprogramFirst),
                         [](const auto& each) {
                           std::string name(sim::mutation_name(each.param));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(FilterMutationTest, WithoutOneNothingIsFound) {
  const auto found = find(2'000);
  EXPECT_FALSE(found.has_value()) << found->seed << ": " << found->what;
}

}  // namespace
}  // namespace usernic
