// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap_queue.h"

#include <sys/uio.h>

#include <cerrno>

namespace usernic {

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the descriptor is non-blocking: one bounded system call
    Result<size_t>
    TapQueue::read(std::span<uint8_t> buffer) noexcept {
  VnetHeader header;
  const iovec parts[] = {{&header, sizeof header}, {buffer.data(), buffer.size()}};
  return read(parts);
}

Result<size_t> TapQueue::read(std::span<const iovec> parts) noexcept {
  for (;;) {
    const ssize_t n = ::readv(fd_.get(), parts.data(), static_cast<int>(parts.size()));
    if (n >= 0 || errno != EINTR) return read_result(n >= 0 ? n : -errno);
  }
}

Result<size_t> TapQueue::read_result(ssize_t result) noexcept {
  if (result < 0) return fail(static_cast<std::errc>(-result));
  if (result < static_cast<ssize_t>(sizeof(VnetHeader))) return fail(std::errc::io_error);
  return static_cast<size_t>(result) - sizeof(VnetHeader);
}

Result<> TapQueue::write(std::span<const uint8_t> frame) noexcept {
  VnetHeader header;
  const iovec parts[] = {{&header, sizeof header}, {const_cast<uint8_t*>(frame.data()), frame.size()}};
  return write(parts);
}

Result<> TapQueue::write(std::span<const iovec> parts) noexcept {
  for (;;) {
    if (::writev(fd_.get(), parts.data(), static_cast<int>(parts.size())) >= 0) return {};
    if (errno != EINTR) return fail(static_cast<std::errc>(errno));
  }
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
