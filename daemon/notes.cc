// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/notes.h"

#include <fmt/format.h>

#include <bit>
#include <cstdlib>

#include "daemon/log.h"
#include "daemon/log_writer.h"

namespace usernic::daemon {

Notes::Notes()
    : waits_before_(set_long_wait_handler([this](const LongWaitNote& note) { hang(note); })),
      reports_before_(set_report_handler([this](const ContractReport& broken) { report(broken); })),
      notices_before_(set_notice_handler([this](const Notice& said) { notice(said); })) {}

Notes::~Notes() {
  (void)set_notice_handler(std::move(notices_before_));
  set_report_handler(std::move(reports_before_));
  set_long_wait_handler(std::move(waits_before_));
}

std::vector<ctl::Event> Notes::take() {
  MutexGuard guard(lock_);
  std::vector<ctl::Event> all(kept_.begin(), kept_.end());
  kept_.clear();
  return all;
}

void Notes::keep(const char* what, const std::string& device, std::string says) {
  ctl::Event event{.what = what, .dev = device.substr(0, device.find(' ')), .says = std::move(says)};
  MutexGuard guard(lock_);
  if (kept_.size() == kMost) kept_.pop_front();
  kept_.push_back(std::move(event));
}

void Notes::hang(const LongWaitNote& note) {
  const std::string text = long_wait_text(note);
  keep("hang", note.device, text);
  log_warning(text);
}

void Notes::notice(const Notice& said) {
  keep("notice", said.device, said.text);
  log_warning(said.text);
}

uint64_t Notes::times(const ContractReport& report) {
  MutexGuard guard(lock_);
  return ++reports_[fmt::format("{} {} {}", report.device, report.rule, place_text(report.here))];
}

void Notes::report(const ContractReport& broken) {
  const uint64_t times = this->times(broken);
  if (!std::has_single_bit(times)) return;
  const std::string text =
      times == 1 ? report_text(broken) : fmt::format("{}  times:  {}\n", report_text(broken), times);
  keep("report", broken.device, text);
  log_warning(text);
  if (!kReportsAbort) return;
  end_log(Clock::now() + kPrintWait);
  std::abort();
}

}  // namespace usernic::daemon
