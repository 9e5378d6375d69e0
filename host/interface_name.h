// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the kernel calls the interface of a port, also when the interface is gone.
//
// The kernel says something of a rename only in passing; its end knows. Locks: one of its own, held over a call of the
// kernel, which takes rtnl. Context: process. Errors: none.
#pragma once

#include <string>

#include "host/kernel_end.h"
#include "usernic/lock.h"

namespace usernic {

class InterfaceName {
 public:
  explicit InterfaceName(KernelEnd& end) : end_(end), name_(end.name()) {}
  InterfaceName(const InterfaceName&) = delete;
  InterfaceName& operator=(const InterfaceName&) = delete;

  // When it was asked for last.
  std::string last() const {
    MutexGuard guard(lock_);
    return name_;
  }
  // At this moment; its last one when it is gone.
  std::string now() {
    MutexGuard guard(lock_);
    if (closed_) return name_;
    if (const Result<std::string> now = end_.name_now()) name_ = *now;
    return name_;
  }
  // Closes it: nobody asks it any more.
  void close() {
    MutexGuard guard(lock_);
    closed_ = true;
    end_.close();
  }

 private:
  static constexpr LockClass kClass{"host_port_name"};
  KernelEnd& end_;
  mutable Mutex lock_{kClass};
  std::string name_ USERNIC_GUARDED_BY(lock_);
  bool closed_ USERNIC_GUARDED_BY(lock_) = false;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
