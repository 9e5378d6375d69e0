// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what goes wrong inside, for the log and for whoever follows: hangs, broken rules of the contract, and what
// else the core has to say.
//
// While one lives, long waits (usernic/long_wait.h), contract reports (usernic/contract_report.h) and notices
// (usernic/notice.h) are its: each is a line of the log, and is kept for `monitor`, the last kMost of them. A report
// ends the process when it is logged, unless USERNIC_ON_REPORT=continue. Then the same rule, broken again at the same
// place, is said the 2nd, 4th, 8th time and so on: a netconsole that says it makes its driver break it again.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "ctl/messages.h"
#include "usernic/context.h"
#include "usernic/contract_report.h"
#include "usernic/lock.h"
#include "usernic/long_wait.h"
#include "usernic/notice.h"

namespace usernic::daemon {

class Notes {
 public:
  static constexpr size_t kMost = 64;

  Notes();
  ~Notes();
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;

  // Those since the last call, as events of `monitor`.
  std::vector<ctl::Event> take();

 private:
  void hang(const LongWaitNote& note);
  void report(const ContractReport& report);
  void notice(const Notice& notice);
  uint64_t times(const ContractReport& report);
  void keep(const char* what, const std::string& device, std::string says);

  static constexpr LockClass kClass{"notes"};
  Mutex lock_{kClass};
  std::deque<ctl::Event> kept_ USERNIC_GUARDED_BY(lock_);
  std::map<std::string, uint64_t> reports_ USERNIC_GUARDED_BY(lock_);  // how often, by device, rule and place
  LongWaitHandler waits_before_;
  ReportHandler reports_before_;
  NoticeHandler notices_before_;
};

}  // namespace usernic::daemon
// Explained best by: daemon/notes_test.cc
