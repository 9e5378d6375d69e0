// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic-sim: the program behind `usernic sim`. Exit codes: 0 nothing found, 1 something found, 2 not understood.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "core/lock/say.h"
#include "sim/mutation_table.h"
#include "sim/runner.h"
#include "sim/wall_clock.h"

namespace usernic::sim {
namespace {

constexpr size_t kLinesShown = 50;
constexpr const char* kHelp = R"(usernic sim: the core under a simulated card, threads and time; one seed is one history

  usernic sim [--seed N | --seeds A..B | --count N] [--scenario NAME] [--trace]

  --seed N           this history only (default: seeds 1 to 100)
  --seeds A..B       these
  --count N          seeds 1 to N
  --scenario NAME    one scenario (default: all)
  --strategy NAME    random or pct (default: the seed's choice)
  --trace            a line a step, on stdout; with --seed
  --mutation RULE    with this rule switched off
  --mutation-table   how many seeds it takes to notice each of the rules that is switched off
  --list             the scenarios and the rules
  -h, --help         this

Example:
  usernic sim --seed 7 --scenario reset --trace
)";

struct Line {
  uint64_t first = 1, last = 100;
  const Scenario* scenario = nullptr;
  std::optional<Strategy> strategy;
  Mutation mutation = Mutation::kNone;
  bool trace = false, table = false, list = false, help = false;
};

bool to_number(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string no_such(std::string_view what, std::string_view name, const std::vector<std::string_view>& there_are) {
  return fmt::format("there is no {} '{}'; there are {}", what, name, fmt::join(there_are, ", "));
}

std::string take_scenario(Line& line, std::string_view name) {
  line.scenario = find_scenario(name);
  if (line.scenario != nullptr) return "";
  std::vector<std::string_view> names;
  for (const Scenario& each : all_scenarios()) names.push_back(each.name);
  return no_such("scenario", name, names);
}

std::string take_mutation(Line& line, std::string_view name) {
  const auto mutation = mutation_named(name);
  if (mutation) return line.mutation = *mutation, std::string();
  std::vector<std::string_view> names;
  for (const Mutation each : all_mutations()) names.push_back(mutation_name(each));
  return no_such("rule", name, names);
}

bool take_range(Line& line, std::string_view text) {
  const size_t dots = text.find("..");
  return dots != text.npos && to_number(text.substr(0, dots), line.first) &&
         to_number(text.substr(dots + 2), line.last) && line.first <= line.last;
}

// An option with a value. Returns what is wrong with it, "" for nothing.
std::string take_value(Line& line, std::string_view option, std::string_view value) {
  const auto takes = [&](bool good, std::string_view right) {
    return good ? "" : fmt::format("{} takes {}, not '{}'", option, right, value);
  };
  if (option == "--seed") return takes(to_number(value, line.first) && (line.last = line.first, true), "a number");
  if (option == "--count") {
    return takes((line.first = 1, to_number(value, line.last)) && line.last != 0, "a number from 1");
  }
  if (option == "--seeds") return takes(take_range(line, value), "A..B, A not above B");
  if (option == "--scenario") return take_scenario(line, value);
  if (option == "--mutation") return take_mutation(line, value);
  if (option == "--strategy") {
    line.strategy = value == "pct" ? Strategy::kPct : Strategy::kRandom;
    return takes(value == "pct" || value == "random", "random or pct");
  }
  return fmt::format("'{}' is not understood", option);
}

bool* flag_of(Line& line, std::string_view option) {
  if (option == "--trace") return &line.trace;
  if (option == "--mutation-table") return &line.table;
  if (option == "--list") return &line.list;
  return option == "--help" || option == "-h" ? &line.help : nullptr;
}

std::optional<Line> parse(int argc, char** argv) {
  Line line;
  for (int i = 1; i < argc; ++i) {
    if (bool* const flag = flag_of(line, argv[i]); flag != nullptr) {
      *flag = true;
      continue;
    }
    const char* const option = argv[i];
    const std::string wrong = take_value(line, option, ++i < argc ? argv[i] : "");
    if (wrong.empty()) continue;
    say(stderr, "usernic sim: {}; see 'usernic sim --help'\n", wrong);
    return std::nullopt;
  }
  return line;
}

void list() {
  say(stdout, "scenarios:\n");
  for (const Scenario& each : all_scenarios()) say(stdout, "  {:<16} {}\n", each.name, each.sentence);
  say(stdout, "rules:\n");
  for (const Mutation each : all_mutations())
    say(stdout, "  {:<16} {}\n", mutation_name(each), mutation_sentence(each));
}

// Plays it again with a trace: the same seed does the same.
void report(const Line& line, const Scenario& scenario, uint64_t seed, const Finding& finding) {
  std::deque<std::string> last;
  (void)play(
      scenario, seed, line.mutation,
      [&](const std::string& text) {
        last.push_back(text);
        if (last.size() > kLinesShown) last.pop_front();
      },
      line.strategy);
  say(stdout, "seed {}, scenario {}: [{}] {}\n", seed, scenario.name, finding.rule, finding.text);
  say(stdout, "the last steps (step, virtual ns, thread, what, where):\n");
  for (const std::string& text : last) say(stdout, "{}\n", text);
  const std::string mutation =
      line.mutation == Mutation::kNone ? "" : fmt::format(" --mutation {}", mutation_name(line.mutation));
  const std::string strategy = !line.strategy                        ? ""
                               : *line.strategy == Strategy::kRandom ? " --strategy random"
                                                                     : " --strategy pct";
  say(stdout, "again: usernic sim --seed {} --scenario {}{}{} --trace\n", seed, scenario.name, mutation, strategy);
}

int run(const Line& line) {
  const std::span<const Scenario> scenarios = line.scenario != nullptr ? std::span(line.scenario, 1) : all_scenarios();
  Trace trace;
  if (line.trace) trace = [](const std::string& text) { say(stdout, "{}\n", text); };
  const double begun = wall_seconds();
  uint64_t histories = 0, steps = 0, switches = 0;
  for (uint64_t seed = line.first;; ++seed) {
    for (const Scenario& scenario : scenarios) {
      const RunResult result = play(scenario, seed, line.mutation, trace, line.strategy);
      if (result.finding) {
        if (line.trace) {
          say(stdout, "[{}] {}\n", result.finding->rule, result.finding->text);
        } else {
          report(line, scenario, seed, *result.finding);
        }
        return 1;
      }
      ++histories;
      steps += result.steps;
      switches += result.switches;
    }
    if (seed == line.last) break;  // behind the last of all numbers comes the first
  }
  const double took = wall_seconds() - begun;
  const uint64_t seeds = line.last - line.first + 1;
  say(stderr, "{} histories of {} seeds in {:.1f} s: {:.0f} seeds, {:.0f} switches, {:.0f} steps a second\n", histories,
      seeds, took, static_cast<double>(seeds) / took, static_cast<double>(switches) / took,
      static_cast<double>(steps) / took);
  return 0;
}

int carry_out(const Line& line) {
  if (line.help) return say(stdout, "{}", kHelp), 0;
  if (line.list) return list(), 0;
  if (line.table) return print_mutation_table(line.last);
  return run(line);
}

}  // namespace
}  // namespace usernic::sim

int main(int argc, char** argv) {
  using namespace usernic::sim;
  const auto line = parse(argc, argv);
  if (!line) return 2;
  const int status = carry_out(*line);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  usernic::say(stderr, "usernic sim: cannot write to stdout: {}\n", std::strerror(errno));
  return 1;
}
