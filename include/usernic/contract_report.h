// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: reports of a broken contract: what one says, and who is told.
//
// A test that breaks a rule on purpose sets a handler, and looks at what it was given:
//
//   std::vector<std::string> rules;
//   const ReportHandler before =
//       set_report_handler([&](const ContractReport& report) { rules.push_back(report.rule); });
//   queue.completed(1, 60);  // more than was sent
//   set_report_handler(before);
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "usernic/place.h"

namespace usernic {

struct NetDevice;

std::string place_text(const Place& place);  // "core/device/napi.cc:31 (void usernic::Napi::enable())"

// One broken rule. `rule` is a short stable name ("sleep-in-atomic", "lock-twice", ...); `text` is the sentence.
struct ContractReport {
  std::string rule;
  std::string text;
  std::string device;  // "nic0 (driver Simnic)"; empty where no device is concerned
  std::string right;   // what would be right (rules.h)
  std::string op;      // of the driver, in which it happened; known while checks are on, as is the next
  std::string held;    // locks that were held, outermost first: "rtnl > instance_lock"
  Place here;
  Place there;          // line 0 when there is no second place
  std::string details;  // of a lock order: both stacks of locks and the chain between them, in lines
};

// Reports go to the handler; without one they are printed, and the process aborts, unless USERNIC_ON_REPORT=continue is
// in the environment. Returns the handler before.
using ReportHandler = std::function<void(const ContractReport&)>;
ReportHandler set_report_handler(ReportHandler handler);
std::string report_text(const ContractReport& report);  // as it is printed: lines
extern const bool kReportsAbort;
void report_contract(std::string_view rule, std::string_view text, Place here, Place there = {},
                     std::string_view details = {}) noexcept;
void report_contract(const NetDevice& dev, std::string_view rule, std::string_view text, Place here) noexcept;

}  // namespace usernic
// Explained best by: core/lock/context_test.cc
