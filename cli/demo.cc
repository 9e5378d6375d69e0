// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/demo_lab.h"
#include "cli/demo_steps.h"
#include "cli/verbs.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

using Step = ctl::Outcome<> (*)(DemoLab& lab, Narrator& say, DemoReport& report);

struct TitledStep {
  const char* title;
  Step step;
};

constexpr TitledStep kSteps[] = {
    {"Two hosts, a card in each, one wire between them", show_lab},
    {"The kernel's own ping across", ping_across},
    {"What the kernel wants received is what the card is told to accept", join_groups},
    {"A burst of changes against a card that takes 10 ms", change_in_a_burst},
    {"A filter too small, and not one wanted frame lost", overflow_the_filter},
};

struct Hint {
  const char* words;
  const char* what;
};

constexpr Hint kNext[] = {
    {"run", "the same two hosts, for as long as you like"},
    {"exec a -- ping 10.9.0.2", "any command in a host: ip, tcpdump, a shell"},
    {"rx-mode nic0", "what host a wants received, and what its card accepts"},
    {"monitor", "the same as it changes"},
    {"run lab.toml", "hosts, cards and wires of your own"},
};

void show_next(Narrator& say, const std::string& program) {
  say.line("\nTry next (as an ordinary user, or as root):");
  for (const Hint& hint : kNext) say.line(fmt::format("  {} {:<25}  {}", program, hint.words, hint.what));
}

int tour(Narrator& say, DemoReport& report) {
  auto lab = DemoLab::start();
  if (!lab) return lab.error().empty() ? kFailed : failed(lab.error());
  int number = 0;
  for (const TitledStep& step : kSteps) {
    say.title(fmt::format("{}. {}", ++number, step.title));
    if (const auto done = step.step(**lab, say, report); !done) return failed(done.error());
  }
  return kDone;
}

}  // namespace

int demo(bool json, const std::string& program) {
  const bool bold = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  Narrator say(!json, bold);
  DemoReport report;
  say.line("usernic: a NIC whose driver runs in user space, on this machine's own kernel");
  const int exit_code = tour(say, report);
  if (exit_code != kDone) return exit_code;
  show_next(say, program);
  if (json) ctl::print(stdout, ctl::to_text(to_json(report)) + "\n");
  return printed();
}

}  // namespace usernic::cli
