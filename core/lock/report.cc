// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what becomes of a broken rule: whose device it was, and who is told.
#include "core/lock/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/lock/held_locks.h"
#include "core/lock/say.h"
#include "usernic/context.h"
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

void report_contract(const NetDevice& dev, std::string_view rule, std::string_view text, Place here) noexcept {
  const ReportsOn concerned(dev);
  report_contract(rule, text, here);
}

void report_contract(std::string_view rule, std::string_view text, Place here, Place there,
                     std::string_view details) noexcept {
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
  say(stderr, "usernic: contract broken [{}]: {}\n", report.rule, report.text);
  if (!report.device.empty()) say(stderr, "  device: {}\n", report.device);
  if (!report.right.empty()) say(stderr, "  right:  {}\n", report.right);
  if (!report.op.empty()) say(stderr, "  op:     {}\n", report.op);
  if (!report.held.empty()) say(stderr, "  held:   {}\n", report.held);
  say(stderr, "  here:  {}\n", place_text(here));
  if (there.line() != 0) say(stderr, "  there: {}\n", place_text(there));
  say(stderr, "{}", report.details);
  std::fflush(stderr);
  std::abort();
}

}  // namespace usernic
