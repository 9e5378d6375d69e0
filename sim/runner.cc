// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/runner.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace usernic::sim {
namespace {

struct Row {
  Mutation mutation;
  std::string_view name;
  std::string_view sentence;
};
constexpr Row kMutations[] = {
    {Mutation::kR1, "R1", "flags are read after the drain, not with the target generation"},
    {Mutation::kR2, "R2", "a flag goes off although a drained address is not covered otherwise"},
    {Mutation::kR3, "R3", "destructive commands follow a failure in the same plan"},
    {Mutation::kR4, "R4", "a failed add leaves nothing behind in the books"},
    {Mutation::kR5, "R5", "a refusal clears what an earlier try may have left on the card"},
    {Mutation::kR7, "R7", "a card that forgot is believed to have what it had"},
    {Mutation::kR7InFlight, "R7b", "commands on their way while the card forgot are thrown away"},
    {Mutation::kR8, "R8", "the driver says ok between losing the filter and telling the core"},
    {Mutation::kR11, "R11", "a slot is taken before its cover is on"},
    {Mutation::kR12, "R12", "the own address comes first only when it arrives"},
    {Mutation::kR13, "R13", "a refusal teaches nothing"},
    {Mutation::kR14, "R14", "a wide class comes back at 3/4 of the slots, also if that is none"},
    {Mutation::kR15, "R15", "what is drained under one lock hold is applied under another"},
    {Mutation::kR19, "R19", "a generation is published when its first chunk is drained"},
    {Mutation::kNoRerun, "no-rerun", "a change during a run owes no other run"},
    {Mutation::kUnprogramFirst, "unprogram-first", "a plan takes away before it adds"},
    {Mutation::kPutEarly, "put-early", "a work item's reference is put before its body runs"},
    {Mutation::kWakeFirst, "wake-first", "waiters are woken before the state they wait for changes"},
    {Mutation::kRunUnderRtnl, "rtnl-in-call", "the rtnl is held during a driver call"},
    {Mutation::kNoSpareWorker, "no-spare-worker", "a worker that takes an item leaves nobody to take the next"},
    {Mutation::kSettleEarly, "settle-early", "settle waits for a generation, and not for what failed or waits in it"},
    {Mutation::kNarrowToldFirst, "narrow-told-first", "a lower device hears of less promiscuity before all addresses"},
    {Mutation::kKeepsModes, "keeps-modes",
     "a lower device whose link is active no more keeps its promiscuity and allmulti"},
    {Mutation::kKeepsVlans, "keeps-vlans", "a lower device whose link is active no more keeps its VLAN ids"},
    {Mutation::kToldToNobody, "told-to-nobody", "what a changer does not get to tell further down is told by nobody"},
    {Mutation::kLevelsFromTop, "levels-from-top", "lock levels grow from the uppermost device down"},
    {Mutation::kHalfImage, "half-image", "what a prepare that failed has left is written"},
    {Mutation::kNarrowAtOnce, "narrow-at-once", "a call that cannot order narrows while it adds"},
    {Mutation::kCutShortBelieved, "cut-short", "what a push did not get to counts as pushed"},
    {Mutation::kFlagsOfNow, "flags-of-now", "a driver sees the flags that are asked for, not those that it was told"},
    {Mutation::kNoSecondLook, "no-second-look", "who waits for a lower device's queue does not look at it once more"},
};
static_assert(std::size(kMutations) == static_cast<size_t>(Mutation::kCount) - 1);

uint64_t number_of(std::string_view name) {
  uint64_t hash = 0xcbf2'9ce4'8422'2325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100'0000'01b3;
  return hash;
}

}  // namespace

RunResult play(const Scenario& scenario, uint64_t seed, Mutation mutation, Trace trace,
               std::optional<Strategy> strategy) {
  // Two scenarios of one seed have nothing in common.
  const Chance chance = Chance(seed).stream(number_of(scenario.name));
  Scheduler scheduler({.seed = Chance(chance).next(), .strategy = strategy, .trace = std::move(trace)});
  active_mutation = mutation;
  RunResult result = scheduler.run([&] { scenario.play(chance.stream(1)); });
  active_mutation = Mutation::kNone;
  return result;
}

std::optional<Found> search(uint64_t first, uint64_t count, std::span<const Scenario> scenarios, Mutation mutation) {
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t seed = first + i;
    for (const Scenario& scenario : scenarios) {
      RunResult result = play(scenario, seed, mutation);
      if (result.finding) return Found{seed, &scenario, std::move(*result.finding)};
    }
  }
  return std::nullopt;
}

std::optional<Mutation> mutation_named(std::string_view name) {
  const auto row = std::ranges::find(kMutations, name, &Row::name);
  return row != std::end(kMutations) ? std::optional(row->mutation) : std::nullopt;
}
std::string_view mutation_name(Mutation mutation) {
  const auto row = std::ranges::find(kMutations, mutation, &Row::mutation);
  return row != std::end(kMutations) ? row->name : "none";
}
std::string_view mutation_sentence(Mutation mutation) {
  const auto row = std::ranges::find(kMutations, mutation, &Row::mutation);
  return row != std::end(kMutations) ? row->sentence : "nothing is switched off";
}
std::vector<Mutation> all_mutations() {
  std::vector<Mutation> all;
  for (const Row& row : kMutations) all.push_back(row.mutation);
  return all;
}

}  // namespace usernic::sim
