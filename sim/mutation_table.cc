// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/mutation_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

#include "core/lock/say.h"
#include "sim/runner.h"

namespace usernic::sim {
namespace {

constexpr uint64_t kRanges = 9;
constexpr uint64_t kApart = 1'000'000;

struct Needed {
  uint64_t seeds;       // seeds_max + 1: it was not noticed
  std::string noticed;  // where, by what rule
};

Needed seeds_needed(Mutation mutation, uint64_t first, uint64_t seeds_max) {
  const auto found = search(first, seeds_max, all_scenarios(), mutation);
  if (!found) return {seeds_max + 1, ""};
  return {found->seed - first + 1, fmt::format("{}: {}", found->scenario->name, found->finding.rule)};
}

// In a process of its own: a history that is given up leaves its locks held, those of the process among them.
Needed seeds_needed_apart(Mutation mutation, uint64_t first, uint64_t seeds_max) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    const Needed needed = seeds_needed(mutation, first, seeds_max);
    const bool said = dprintf(ends[1], "%" PRIu64 " %s", needed.seeds, needed.noticed.c_str()) > 0;
    _exit(said ? 0 : 1);
  }
  close(ends[1]);
  std::array<char, 200> answer{};
  FILE* const from_child = fdopen(ends[0], "r");
  Needed needed{};
  const bool told = fscanf(from_child, "%" SCNu64 " %199[^\n]", &needed.seeds, answer.data()) >= 1;
  std::fclose(from_child);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0 || !told)
    throw std::runtime_error(fmt::format("the process that plays {} from seed {} ended with status {}",
                                         mutation_name(mutation), first, status));
  needed.noticed = answer.data();
  return needed;
}

}  // namespace

int print_mutation_table(uint64_t seeds_max) {
  int status = 0;
  say(stdout, "{:<16} {:>6} {:>6} {:>6}  {:<36} {}\n", "rule off", "median", "least", "most", "first noticed by",
      "that is");
  for (const Mutation mutation : all_mutations()) {
    std::string noticed;
    std::array<uint64_t, kRanges> needed{};
    for (uint64_t range = 0; range < kRanges; ++range) {
      const Needed one = seeds_needed_apart(mutation, range * kApart + 1, seeds_max);
      needed[range] = one.seeds;
      if (noticed.empty()) noticed = one.noticed;
    }
    std::ranges::sort(needed);
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
