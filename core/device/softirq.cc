// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/softirq.h"

#include <fmt/format.h>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "usernic/long_wait.h"

namespace usernic {

Softirq::Softirq() : thread_("usernic-poll", [this] { loop(); }) {}

Softirq::~Softirq() {
  SpinGuard guard(lock_);
  stopping_ = true;
  wake_.wake();
}  // thread_ is joined after the guard is gone

void Softirq::add(Napi& napi) noexcept {
  {
    SpinGuard guard(lock_);
    if (!napi.poll_hook_.is_linked()) [[likely]] {
      scheduled_.push_back(napi);
      if (polls_here() != this) wake_.wake();
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
  while (polling_ == &napi) wait.in(polled_, lock_);
}

void Softirq::wait_idle(const Napi& napi, LongWait& wait) {
  SpinGuard guard(lock_);
  while (polling_ == &napi || napi.poll_hook_.is_linked()) wait.in(polled_, lock_);
}

// The next one, without the lock meanwhile. Requires: there is one, and nobody polls.
void Softirq::poll_front() noexcept {
  Napi& napi = scheduled_.front();
  scheduled_.pop_front();
  polling_ = &napi;
  lock_.unlock();
  poll_one(napi);
  lock_.lock();
  polling_ = nullptr;
  polled_.wake();
}

void Softirq::poll_here() noexcept {
  SpinGuard guard(lock_);
  for (int i = 0; i < kPollsHere && polling_ == nullptr && !scheduled_.empty(); ++i) poll_front();
  // What was scheduled while we polled woke nobody, or found nothing that it might poll.
  if (!scheduled_.empty() && polling_ == nullptr) wake_.wake();
}

PollHere::PollHere(Net& net) noexcept
    : softirq_(net.impl().softirq), outer_(std::exchange(Softirq::polls_here(), &softirq_)) {}

PollHere::~PollHere() {
  softirq_.poll_here();
  Softirq::polls_here() = outer_;
}

void Softirq::loop() {
  lock_.lock();
  while (true) {
    if (!scheduled_.empty() && polling_ == nullptr) {
      poll_front();
      continue;
    }
    if (stopping_) break;
    wake_.wait(lock_);
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
  polled() = {&napi, false};
  {
    const NdoScope poll(Device::of(napi.dev_), Ndo::kPoll);
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
  add(napi);
}

}  // namespace usernic
