// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/workqueue.h"

#include <cstdarg>
#include <cstdio>

namespace usernic::kernel {
namespace {

workqueue_struct* make_workqueue(int max_active, const char* format, va_list args) {
  char name[64];
  (void)std::vsnprintf(name, sizeof name, format, args);
  return new Workqueue(init_net(), name, max_active);
}

}  // namespace

workqueue_struct* alloc_workqueue(const char* format, unsigned, int max_active, ...) {
  va_list args;
  va_start(args, max_active);
  workqueue_struct* const queue = make_workqueue(max_active > 0 ? max_active : 256, format, args);
  va_end(args);
  return queue;
}

workqueue_struct* alloc_ordered_workqueue(const char* format, unsigned flags, ...) {
  va_list args;
  va_start(args, flags);
  workqueue_struct* const queue = make_workqueue(Workqueue::kOrdered, format, args);
  va_end(args);
  return queue;
}

}  // namespace usernic::kernel
