// SPDX-License-Identifier: Apache-2.0
#include "sim/mutation_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/say.h"
#include "sim/runner.h"

namespace usernic::sim {
namespace {

constexpr uint64_t kRanges = 9;
constexpr uint64_t kApart = 1'000'000;

// How many seeds of each range were needed, sorted; `seeds_max` + 1 when it was not noticed.
std::array<uint64_t, kRanges> seeds_needed(Mutation mutation, uint64_t seeds_max, std::string& noticed) {
  std::array<uint64_t, kRanges> needed{};
  for (uint64_t range = 0; range < kRanges; ++range) {
    const uint64_t first = range * kApart + 1;
    const auto found = search(first, seeds_max, all_scenarios(), mutation);
    needed[range] = found ? found->seed - first + 1 : seeds_max + 1;
    if (found && noticed.empty()) noticed = fmt::format("{}: {}", found->scenario->name, found->finding.rule);
  }
  std::ranges::sort(needed);
  return needed;
}

}  // namespace

int print_mutation_table(uint64_t seeds_max) {
  int status = 0;
  say(stdout, "{:<16} {:>6} {:>6} {:>6}  {:<36} {}\n", "rule off", "median", "least", "most", "first noticed by",
      "that is");
  for (const Mutation mutation : all_mutations()) {
    std::string noticed;
    const auto needed = seeds_needed(mutation, seeds_max, noticed);
    if (needed.back() > seeds_max) status = 1;
    const auto show = [seeds_max](uint64_t seeds) {
      return seeds > seeds_max ? fmt::format(">{}", seeds_max) : fmt::format("{}", seeds);
    };
    say(stdout, "{:<16} {:>6} {:>6} {:>6}  {:<36} {}\n", mutation_name(mutation), show(needed[kRanges / 2]),
        show(needed.front()), show(needed.back()), noticed, mutation_sentence(mutation));
    std::fflush(stdout);
  }
  return status;
}

}  // namespace usernic::sim
