// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what becomes of a broken rule: whose device it was, and who is told.
#include "core/lock/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/lock/handler_slot.h"
#include "core/lock/held_locks.h"
#include "core/lock/say.h"
#include "usernic/context.h"
#include "usernic/contract_report.h"
#include "usernic/env.h"
#include "usernic/net_device.h"
#include "usernic/rules.h"

namespace usernic {
namespace {

constexpr LockClass kHandlerClass{"report_handler"};
constinit HandlerSlot<ReportHandler> report_handler{kHandlerClass};

using Concerned = Local<const NetDevice*, struct ConcernedTag>;

}  // namespace

std::string concerned_text() {
  const NetDevice* const dev = Concerned::get();
  return dev != nullptr ? fmt::format("{} (driver {})", dev->name(), dev->driver_name()) : "";
}

ReportHandler set_report_handler(ReportHandler new_handler) {
  return report_handler.set(std::move(new_handler));
}

ReportsOn::ReportsOn(const NetDevice* dev) noexcept : outer_(Concerned::get()) {
  if (dev != nullptr) Concerned::get() = dev;
}
ReportsOn::~ReportsOn() USERNIC_NONBLOCKING {
  Concerned::get() = outer_;
}

std::string report_text(const ContractReport& report) {
  std::string text = fmt::format("contract broken [{}]: {}\n", report.rule, report.text);
  const auto line = [&text](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<8}{}\n", name, value);
  };
  line("device:", report.device);
  line("right:", report.right);
  line("op:", report.op);
  line("held:", report.held);
  line("here:", place_text(report.here));
  if (report.there.line() != 0) line("there:", place_text(report.there));
  return text + report.details;
}

void report_contract(const NetDevice& dev, std::string_view rule, std::string_view text, Place here) noexcept {
  const ReportsOn concerned(dev);
  report_contract(rule, text, here);
}

namespace {

// Takes the first name off a list of them, "napi-overrun,skb-kept".
std::string_view pop_name(std::string_view& list) noexcept {
  const std::string_view name = list.substr(0, list.find(','));
  list.remove_prefix(std::min(name.size() + 1, list.size()));
  return name;
}

std::string_view ignored_rules() noexcept {
  static const std::string_view ignored = [] {
    const BlockingByDesign allowed;
    const char* const list = std::getenv("USERNIC_IGNORE_RULES");
    const std::string_view all = list != nullptr ? list : "";
    for (std::string_view rest = all; !rest.empty();) {
      if (const std::string_view name = pop_name(rest); find_rule(name) == nullptr)
        say(stderr, "usernic: USERNIC_IGNORE_RULES names '{}', which is no rule: docs/contract.md lists them\n", name);
    }
    return all;
  }();
  return ignored;
}

bool is_ignored(std::string_view rule) noexcept {
  for (std::string_view rest = ignored_rules(); !rest.empty();) {
    if (pop_name(rest) == rule) return true;
  }
  return false;
}

}  // namespace

void report_contract(std::string_view rule, std::string_view text, Place here, Place there,
                     std::string_view details) noexcept {
  if (is_ignored(rule)) [[unlikely]]
    return;
  // A handler may use locks itself: what it breaks meanwhile is not reported again.
  HeldLocks::Muted muted;
  if (muted.nested()) return;
  const BlockingByDesign allowed;
  const Rule* const known = find_rule(rule);
  const HeldLocks& mine = HeldLocks::mine();
  const ContractReport report{.rule = std::string(rule),
                              .text = std::string(text),
                              .device = concerned_text(),
                              .right = known != nullptr ? std::string(known->right) : "",
                              .op = mine.op() != nullptr ? mine.op() : "",
                              .held = mine.names(),
                              .here = here,
                              .there = there,
                              .details = std::string(details)};
  if (const ReportHandler call = report_handler.get()) return call(report);
  say(stderr, "usernic: {}", report_text(report));
  std::fflush(stderr);
  if (kReportsAbort) std::abort();
}

}  // namespace usernic
