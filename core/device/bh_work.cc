// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/bh_work.h"

#include "core/device/device.h"
#include "core/device/poll_threads.h"
#include "usernic/contract_report.h"
#include "usernic/long_wait.h"

namespace usernic {

BhWork::BhWork(NetDevice& dev, Run run, void* of)
    : dev_(dev), run_(run), of_(of), home_(Device::of(dev).poll_threads.move_in()) {}

BhWork::~BhWork() {
  if (cancel()) {
    report_contract(dev_, "bh-work-freed", "a BH item is destroyed while it waits to be run", Place::current());
  }
  Device::of(dev_).poll_threads.move_out(home_);
}

bool BhWork::schedule() noexcept {
  return home_.add(*this, Clock::now());  // behind those that are due
}
bool BhWork::schedule_at(Time due) noexcept {
  return home_.add(*this, due);
}
bool BhWork::cancel() noexcept {
  return home_.take_back(*this);
}

bool BhWork::cancel_sync(Place where) {
  const ReportsOn concerned(dev_);
  might_sleep(where);
  bool waited = cancel();
  if (Softirq::item_run_here() == this) {
    report_contract(dev_, "bh-work-waits-for-itself", "a BH item waits for its own end, and goes on", where);
    return waited;
  }
  LongWait wait("a BH item to end, so that it is cancelled", where);
  do {
    home_.wait_out(*this, wait);
  } while (cancel() && (waited = true));  // it asked to be run again
  return waited;
}

}  // namespace usernic
