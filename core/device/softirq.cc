// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/softirq.h"

#include <fmt/format.h>

#include <cstdio>

#include "core/contract/ndo.h"
#include "core/lock/notice.h"
#include "usernic/contract_report.h"
#include "usernic/long_wait.h"

namespace usernic {

Softirq::Softirq(const std::string& name, std::optional<int> cpu) : thread_(name, [this, cpu] { loop(cpu); }) {}

Softirq::~Softirq() {
  SpinGuard guard(lock_);
  stopping_ = true;
  wake_.wake();
}  // thread_ is joined after the guard is gone

void Softirq::add(Napi& napi, bool here) noexcept {
  {
    SpinGuard guard(lock_);
    if (!napi.poll_hook_.is_linked()) [[likely]] {
      scheduled_.push_back(napi);
      if (!here) wake_.wake();
      return;
    }
  }
  napi.report("napi-scheduled-twice",
              "schedule_prepared of an instance that waits for its poll already: it is owed once, after schedule_prep "
              "that returned true",
              Place::current());
}

void Softirq::wait_out(const Napi& napi, LongWait& wait) {
  SpinGuard guard(lock_);
  while (napi.in_poll_) wait.in(over_, lock_);
}

void Softirq::wait_idle(const Napi& napi, LongWait& wait) {
  SpinGuard guard(lock_);
  while (napi.in_poll_ || napi.poll_hook_.is_linked()) wait.in(over_, lock_);
}

// The first one that nobody is in, or null.
Napi* Softirq::next_napi() noexcept {
  if (polling_) return nullptr;
  for (Napi& each : scheduled_) {
    if (!each.in_poll_) [[likely]]
      return &each;
  }
  return nullptr;
}

// Without the lock meanwhile.
void Softirq::poll(Napi& napi) noexcept {
  scheduled_.erase(scheduled_.iterator_to(napi));
  napi.in_poll_ = true;
  polling_ = true;
  lock_.unlock();
  poll_one(napi);
  lock_.lock();
  polling_ = false;
  napi.in_poll_ = false;
  over_.wake();
}

void Softirq::poll_here() noexcept {
  SpinGuard guard(lock_);
  for (int i = 0; i < kPollsHere; ++i) {
    Napi* const napi = next_napi();
    if (napi == nullptr) break;
    poll(*napi);
  }
}

void Softirq::wake_if_owed() noexcept {
  SpinGuard guard(lock_);
  if (next_napi() != nullptr) wake_.wake();
}

bool Softirq::add(BhWork& item, Time due) noexcept {
  SpinGuard guard(lock_);
  const bool waited = item.hook_.is_linked();
  if (waited) items_.erase(items_.iterator_to(item));
  item.due_ = due;
  items_.insert(item);
  if (&*items_.begin() == &item) wake_.wake();
  return !waited;
}

bool Softirq::take_back(BhWork& item) noexcept {
  SpinGuard guard(lock_);
  if (!item.hook_.is_linked()) return false;
  items_.erase(items_.iterator_to(item));
  return true;
}

void Softirq::wait_out(const BhWork& item, LongWait& wait) {
  SpinGuard guard(lock_);
  while (running_ == &item) wait.in(over_, lock_);
}

// The first one whose time has come, without the lock meanwhile.
bool Softirq::run_due_item() noexcept {
  if (items_.empty() || items_.begin()->due_ > Clock::now()) return false;
  BhWork& item = *items_.begin();
  items_.erase(items_.begin());
  running_ = &item;
  lock_.unlock();
  {
    const ReportsOn concerned(item.dev_);
    const BhScope bh;
    item_run_here() = &item;
    item.run_(item.of_);
    item_run_here() = nullptr;
  }
  lock_.lock();
  running_ = nullptr;
  over_.wake();
  return true;
}

void Softirq::loop(std::optional<int> cpu) {
  if (cpu && !Thread::run_on(*cpu)) {
    notice("a poll thread may not run on CPU {}: it runs wherever it may", *cpu);
  }
  lock_.lock();
  while (true) {
    const bool ran = run_due_item();
    if (Napi* const napi = next_napi(); napi != nullptr) {
      poll(*napi);
    } else if (!ran) {
      if (stopping_) break;
      wake_.wait(lock_, items_.empty() ? kForever : items_.begin()->due_);
    }
  }
  lock_.unlock();
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    static void
    report_overrun(const NetDevice& dev, int work, int weight) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract(dev, "napi-overrun", fmt::format("poll says {} of a budget of {}", work, weight), Place::current());
}
USERNIC_BLOCKING_BY_DESIGN_END

void Softirq::poll_one(Napi& napi) noexcept {
  const int weight = napi.weight_;
  int work;
  polled() = {.napi = &napi, .completed = false};
  {
    const NdoScope poll(napi.ndo_, Ndo::kPoll);
    work = napi.poll_(napi.driver_, napi, weight);
  }
  const bool completed = std::exchange(polled(), {}).completed;
  if (work > weight) report_overrun(napi.dev_, work, weight);
  if (completed) {
    if (work == weight) {
      napi.report(
          "napi-completed-full",
          "a poll completes and returns its whole budget, which asks for another poll: return less, once it has "
          "completed",
          Place::current());
    }
    return;  // somebody else owns it now
  }
  if (work < weight) {
    napi.report(
        "napi-not-completed",
        "a poll returns less than its budget without complete_done: nobody would ever poll again, so it is taken "
        "as completed",
        Place::current());
    (void)napi.give_up();
    return;
  }
  // The whole budget: still ours. A disable that waits takes the instance from here.
  if ((napi.state_.load() & Napi::kDisable) != 0) return napi.yield_to_disable();
  napi.schedule_prepared();
}

// The owner, if there is one, is not in its poll: it waits for its turn.
bool Softirq::claim(Napi& napi) noexcept {
  Softirq& home = napi.home_;
  if (!home.lock_.try_lock()) return false;
  const bool free = napi.enabled() && !napi.in_poll_;
  if (free) napi.in_poll_ = true;
  home.lock_.unlock();
  return free;
}

void Softirq::poll_claimed(Napi& napi) noexcept {
  const Polled outer = std::exchange(polled(), {.napi = &napi, .completed = false, .without_budget = true});
  int work;
  {
    const NdoScope poll(napi.ndo_, Ndo::kPoll);
    work = napi.poll_(napi.driver_, napi, 0);
  }
  polled() = outer;
  if (work > 0) report_overrun(napi.dev_, work, 0);
  Softirq& home = napi.home_;
  SpinGuard guard(home.lock_);
  napi.in_poll_ = false;
  home.over_.wake();
  if (!home.scheduled_.empty()) home.wake_.wake();  // its thread may have passed it over
}

}  // namespace usernic
