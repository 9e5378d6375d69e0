// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: which item this thread is running, and in which queue.
#pragma once

#include <memory>

#include "usernic/work.h"

namespace usernic {

// One on the stack of a worker for as long as an item's body runs. The body may destroy its item: see ~Work.
class CurrentWork {
 public:
  CurrentWork(Work& work, Workqueue& queue, StopToken stop, Place where = Place::current()) noexcept;
  ~CurrentWork();
  CurrentWork(const CurrentWork&) = delete;
  CurrentWork& operator=(const CurrentWork&) = delete;

  static CurrentWork* mine() noexcept USERNIC_NONBLOCKING;
  // The item is being destroyed. Returns false when somebody still knows it.
  bool goes_on_without_it();

  Work* work;
  Workqueue& queue;
  StopToken stop;
  std::unique_ptr<Work> stand_in;

 private:
  const void* const held_;  // the item, as the lock checks know it
  const ReportsOn concerned_;
};

// Waiting for a queue may sleep, and counts as taking its class and letting go. A lane's items take rtnl and IL, so
// both must be free.
void check_wait(const Workqueue& queue, const char* what, Place where);

}  // namespace usernic
