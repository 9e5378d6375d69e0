// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: one queue of a TAP, which is one descriptor.
//
// What the kernel sends by it is read from the descriptor, what is written is received by the kernel: whole Ethernet
// frames, each behind a header that says what is left to do on it (bus/netif/vnet_header.h). Where there are several
// queues the kernel sends a flow by the one that it was received from last, or by a hash of it [tun: automq].
//
// Locks: none. Reading and writing may happen at once from different threads; who reads does so alone. They never
// sleep, so writing is allowed in atomic context.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "bus/netif/vnet_header.h"
#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/unique_fd.h"

namespace usernic {

class TapQueue {
 public:
  explicit TapQueue(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  // The next frame that the kernel sent: its size, at most the buffer's; a frame that fills the buffer may have been
  // longer. EAGAIN: none now. Anything else (EBADFD): the interface is gone.
  Result<size_t> read(std::span<uint8_t> buffer) noexcept USERNIC_NONBLOCKING;
  // The same with its header: `parts` are one behind the other, and a header is the first. / What a read says by a
  // number of octets, or a negative errno.
  Result<size_t> read(std::span<const iovec> parts) noexcept USERNIC_NONBLOCKING;
  static Result<size_t> read_result(ssize_t result) noexcept USERNIC_NONBLOCKING;
  // Gives the kernel a frame, behind its header in `parts`. EIO: the interface is down.
  Result<> write(std::span<const iovec> parts) noexcept USERNIC_NONBLOCKING;
  // One that has nothing left to do on it.
  Result<> write(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING;

  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace usernic
// Explained best by: host/tap_test.cc
