// SPDX-License-Identifier: Apache-2.0 OR MIT
// Wakes a thread that sleeps in poll(2).
//
// The sleeper polls `fd()` for POLLIN, and calls `clear` before it looks at what changed. A kick between its look and
// its sleep is not lost, and many kicks are one. Locks: none.
#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/error.h"
#include "usernic/unique_fd.h"

namespace usernic {

class Kick {
 public:
  // too_many_files_open, too_many_files_open_in_system, not_enough_memory: the machine has no descriptor for it.
  static Result<Kick> make() {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) return fail(static_cast<std::errc>(errno));
    return Kick(std::move(fd));
  }

  // Context: any.
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
// Explained best by: bus/usb/usbip_server.cc
