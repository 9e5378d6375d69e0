// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: wakes a thread that sleeps in poll(2), through an eventfd.
//
// Any thread in any context kicks; the sleeper polls `fd()` and calls `clear` before it looks at what changed. A kick
// between the look and the sleep is not lost, many kicks are one. Locks: none. Errors: making one, where no descriptor
// is left.
#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

#include "host/fd.h"
#include "host/host_error.h"
#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/refusal.h"

namespace usernic {

class Kick {
 public:
  static HostResult<Kick> make() {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (fd) return Kick(std::move(fd));
    const auto error = static_cast<std::errc>(errno);
    return host_fail(error, "cannot make an eventfd: " + refusal(error));
  }

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
  explicit Kick(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace usernic
// Explained best by: host/host_port.cc
