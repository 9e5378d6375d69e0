// SPDX-License-Identifier: Apache-2.0
// core: which item this thread is running, and in which queue.
#pragma once

#include "usernic/work.h"

namespace usernic {

// One on the stack of a worker for as long as an item's body runs.
class CurrentWork {
 public:
  CurrentWork(Work& work, Workqueue& queue, StopToken stop, Place where = Place::current()) noexcept;
  ~CurrentWork();
  CurrentWork(const CurrentWork&) = delete;
  CurrentWork& operator=(const CurrentWork&) = delete;

  static const CurrentWork* mine() noexcept USERNIC_NONBLOCKING;
  Work& work;
  Workqueue& queue;
  const StopToken stop;
};

// Waiting for a queue may sleep, and counts as taking its class and letting go. A lane's items take rtnl and IL, so
// both must be free.
void check_wait(const Workqueue& queue, const char* what, Place where);

}  // namespace usernic
