// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what becomes of a broken rule: whose device it was, and who is told.
#include "core/lock/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/lock/held_locks.h"
#include "core/lock/say.h"
#include "usernic/context.h"
#include "usernic/contract_report.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"
#include "usernic/rules.h"

namespace usernic {
namespace {

constexpr LockClass kHandlerClass{"report_handler"};
constinit Mutex handler_mutex{kHandlerClass};

ReportHandler& handler() {
  static ReportHandler* const instance = new ReportHandler;  // outlives every thread
  return *instance;
}

using Concerned = Local<const NetDevice*, struct ConcernedTag>;

}  // namespace

std::string concerned_text() {
  const NetDevice* const dev = Concerned::get();
  return dev != nullptr ? fmt::format("{} (driver {})", dev->name(), dev->driver_name()) : "";
}

ReportHandler set_report_handler(ReportHandler new_handler) {
  MutexGuard guard(handler_mutex);
  return std::exchange(handler(), std::move(new_handler));
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

// USERNIC_IGNORE_RULES=napi-overrun,skb-kept
static bool is_ignored(std::string_view rule) noexcept {
  static const char* const list = std::getenv("USERNIC_IGNORE_RULES");
  if (list == nullptr) [[likely]]
    return false;
  for (std::string_view rest = list; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    if (one == rule) return true;
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
  }
  return false;
}

void report_contract(std::string_view rule, std::string_view text, Place here, Place there,
                     std::string_view details) noexcept {
  if (is_ignored(rule)) [[unlikely]]
    return;
  // A handler may use locks itself: what it breaks meanwhile is not reported again.
  HeldLocks::Muted muted;
  if (muted.nested()) return;
  const BlockingByDesign allowed;
  ReportHandler call;
  {
    MutexGuard guard(handler_mutex);
    call = handler();
  }
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
  if (call) return call(report);
  say(stderr, "usernic: {}", report_text(report));
  std::fflush(stderr);
  if (kReportsAbort) std::abort();
}

}  // namespace usernic
