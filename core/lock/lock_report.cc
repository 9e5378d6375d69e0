// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/lock_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "usernic/contract_report.h"

namespace usernic {
namespace {

std::string name_of(const LockGraph::Step& step) {
  return step.level == 0 ? fmt::format("'{}'", step.name) : fmt::format("'{}'/{}", step.name, step.level);
}

std::string stack_text(const LockGraph::Stack& stack) {
  std::string text;
  size_t width = 0;
  for (const LockGraph::Step& step : stack.all()) width = std::max(width, name_of(step).size());
  size_t left = stack.size;
  for (const LockGraph::Step& step : stack.all()) {
    const char* const what = --left == 0 ? "then" : "held";
    text += fmt::format("    {} {:{}} {}\n", what, name_of(step), width, place_text(step.where));
  }
  return text;
}

std::string use_text(LockGraph::Use use) {
  switch (use) {
    case LockGraph::kInBh:
      return "in BH context";
    case LockGraph::kBhsOn:
      return "with BHs enabled";
    case LockGraph::kInHardIrq:
      return "in hard irq context";
    case LockGraph::kIrqsOn:
      return "with hard irqs enabled";
  }
  return "";
}

}  // namespace

void report_lock_order(std::span<const LockGraph::Edge> known, const LockGraph::Stack& mine,
                       Place held_since) noexcept {
  const LockGraph& graph = LockGraph::instance();
  const LockGraph::Step& wanted = mine.all().back();
  std::string chain = name_of(graph.step(known.front().from));
  std::string details = "  this thread:\n" + stack_text(mine);
  for (const LockGraph::Edge& edge : known) {
    const std::string from = name_of(graph.step(edge.from));
    const std::string to = name_of(graph.step(edge.to));
    chain += " -> " + to;
    details += fmt::format("  {} -> {} is known from:\n{}", from, to, stack_text(edge.stack));
  }
  const std::string held = name_of(graph.step(known.back().to));
  report_contract("lock-order",
                  fmt::format("{} is taken under {}, against the known order {}", name_of(wanted), held, chain),
                  wanted.where, held_since, details);
}

void report_lock_context(const LockClass& lock_class, const LockGraph::Clash& clash, Place where) noexcept {
  report_contract("lock-context",
                  fmt::format("'{}' is taken {}, and elsewhere {}: the one could interrupt the other and wait for it",
                              lock_class.name, use_text(clash.mine), use_text(clash.other)),
                  where, clash.there);
}

}  // namespace usernic
