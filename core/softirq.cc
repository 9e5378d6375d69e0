// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/softirq.h"

#include <fmt/format.h>

#include "core/device.h"
#include "core/ndo.h"

namespace usernic {

Softirq::Softirq() : thread_("usernic-poll", [this] { loop(); }) {}

Softirq::~Softirq() {
  SpinGuard guard(lock_);
  stopping_ = true;
  wake_.wake();
}  // thread_ is joined after the guard is gone

void Softirq::add(Napi& napi) noexcept {
  SpinGuard guard(lock_);
  scheduled_.push_back(napi);
  wake_.wake();
}

void Softirq::wait_out(const Napi& napi) {
  SpinGuard guard(lock_);
  while (polling_ == &napi) polled_.wait(lock_);
}

void Softirq::wait_idle(const Napi& napi) {
  SpinGuard guard(lock_);
  while (polling_ == &napi || napi.poll_hook_.is_linked()) polled_.wait(lock_);
}

void Softirq::loop() {
  lock_.lock();
  while (true) {
    if (!scheduled_.empty()) {
      Napi& napi = scheduled_.front();
      scheduled_.pop_front();
      polling_ = &napi;
      lock_.unlock();
      poll_one(napi);
      lock_.lock();
      polling_ = nullptr;
      polled_.wake();
      continue;
    }
    if (stopping_) break;
    wake_.wait(lock_);
  }
  lock_.unlock();
}

// Reports allocate, but only on the way to an abort or in a test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
static void report_overrun(const NetDevice& dev, int work, int weight) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract(dev, "napi-overrun", fmt::format("poll says {} of a budget of {}", work, weight), Place::current());
}
USERNIC_BLOCKING_BY_DESIGN_END

void Softirq::poll_one(Napi& napi) noexcept {
  const int weight = napi.weight_;
  int work;
  {
    const NdoScope poll(Device::of(napi.dev_), Ndo::kPoll);
    work = napi.poll_(napi.driver_, napi, weight);
  }
  if (work < weight) return;  // it completed: somebody else owns it now, or it is freed already
  if (work > weight) report_overrun(napi.dev_, work, weight);
  // The whole budget: still ours. A disable that waits takes the instance from here.
  if ((napi.state_.load() & Napi::kDisable) != 0) return napi.yield_to_disable();
  add(napi);
}

}  // namespace usernic
