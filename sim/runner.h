// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: plays scenarios: one seed, many seeds, and with rules switched off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/lock/mutation.h"
#include "sim/scenario.h"
#include "sim/scheduler.h"

namespace usernic::sim {

using Trace = std::function<void(const std::string& line)>;

// One scenario under one seed. The same seed and commit: the same steps, to the byte of the trace.
RunResult play(const Scenario& scenario, uint64_t seed, Mutation mutation = Mutation::kNone, Trace trace = nullptr,
               std::optional<Strategy> strategy = std::nullopt);

// Where a search stopped.
struct Found {
  uint64_t seed;
  const Scenario* scenario;
  Finding finding;
};
// The first finding for the seeds from `first`, at most `count` of them, each with every scenario of `scenarios`.
std::optional<Found> search(uint64_t first, uint64_t count, std::span<const Scenario> scenarios, Mutation mutation);

// The switch of that name, "R4" or "put-early"; none: there is no such name.
std::optional<Mutation> mutation_named(std::string_view name);
std::string_view mutation_name(Mutation mutation);
std::string_view mutation_sentence(Mutation mutation);
std::vector<Mutation> all_mutations();

}  // namespace usernic::sim
