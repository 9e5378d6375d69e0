// SPDX-License-Identifier: Apache-2.0
// host: wakes a thread that sleeps in poll(2), through an eventfd.
//
// Any thread in any context kicks; the sleeper polls `fd()` and calls `clear` before it looks at what changed. A kick
// between the look and the sleep is not lost, many kicks are one. Locks: none.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "host/fd.h"
#include "usernic/annotations.h"
#include "usernic/context.h"

namespace usernic {

class Kick {
 public:
  Kick() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a non-blocking write of eight octets
      void
      kick() noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign allowed;
    const uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
  }
  USERNIC_BLOCKING_BY_DESIGN_END

  void clear() noexcept {
    uint64_t count;
    [[maybe_unused]] const auto read = ::read(fd_.get(), &count, sizeof count);
  }
  int fd() const noexcept { return fd_.get(); }

 private:
  const UniqueFd fd_;
};

}  // namespace usernic
// Explained best by: host/host_port.cc
