// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: events to wait for, contract reports caught, and results as words.
//
// Nothing here sleeps for its own sake: a wait ends with its event, and its limit only turns a hang into a failure.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "usernic/context.h"
#include "usernic/contract_report.h"
#include "usernic/env.h"
#include "usernic/error.h"

namespace usernic {

inline constexpr Duration kLong = std::chrono::minutes(2);          // what must happen happens within it, anywhere
inline constexpr Duration kMoment = std::chrono::milliseconds(30);  // what must not happen is watched for it
inline Time soon() {
  return Clock::now() + kLong;
}

// Something that happened so many times.
class Event {
 public:
  void set() noexcept {
    count_.fetch_add(1);
    wake_all(count_);
  }
  uint32_t count() const noexcept { return count_.load(); }
  // Waits until it happened `times` times. Any context: it is the test that waits, not the code under test.
  bool wait(uint32_t times = 1, Duration limit = kLong) const noexcept {
    const Time deadline = Clock::now() + limit;
    for (uint32_t seen = count_.load(); seen < times; seen = count_.load()) {
      if (!wait_on(count_, seen, deadline)) return count_.load() >= times;
    }
    return true;
  }
  bool stays_away() const noexcept { return !wait(1, kMoment); }

 private:
  Atomic<uint32_t> count_{0};
};

// On until it is switched off; whoever waits for that sleeps.
class Switch {
 public:
  void set(bool on) noexcept {
    on_.store(on);
    wake_all(on_);
  }
  void wait_off() const noexcept {
    while (on_.load() != 0) wait_on(on_, 1);
  }

 private:
  Atomic<uint32_t> on_{0};
};

// Looks until it holds, for what no event tells. False after so long that it never will.
template <class Condition>
bool eventually(Condition holds) {
  const Atomic<uint32_t> never{0};
  for (const Time deadline = soon(); !holds(); wait_on(never, 0, Clock::now() + std::chrono::milliseconds(1))) {
    if (Clock::now() > deadline) return false;
  }
  return true;
}

// Catches contract reports while it lives. The broken call goes on after the report, so a test that would hang there
// repairs things in `on_report`.
class Reports {
 public:
  Reports()
      : before_(set_report_handler([this](const ContractReport& report) {
          all.push_back(report);
          if (on_report) on_report();
        })) {}
  ~Reports() { set_report_handler(std::move(before_)); }
  Reports(const Reports&) = delete;
  Reports& operator=(const Reports&) = delete;

  std::vector<ContractReport> all;  // by the test's own thread
  std::function<void()> on_report;

  // "sleep-in-atomic lock-twice"; empty: nothing was reported.
  std::string rules() const {
    std::string text;
    for (const ContractReport& report : all) text += (text.empty() ? "" : " ") + report.rule;
    return text;
  }

 private:
  ReportHandler before_;
};

// "context_test.cc:31": a place without its folders; the place of the line that says so, and of the line after it.
inline std::string at(const Place& place, int lines_further = 0) {
  const std::string_view file = place.file_name();
  return fmt::format("{}:{}", file.substr(file.find_last_of('/') + 1), place.line() + lines_further);
}
inline std::string here(Place place = Place::current()) {
  return at(place);
}
inline std::string next_line(Place place = Place::current()) {
  return at(place, 1);
}

// "ok" or "ENODEV".
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string(errno_name(result.error()));
}

}  // namespace usernic
