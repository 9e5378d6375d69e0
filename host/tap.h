// SPDX-License-Identifier: Apache-2.0
// host: a TAP, the kernel's end of a cable whose other end is a descriptor.
//
// What the kernel sends on the interface is read from the descriptor, what is written is received by the kernel: whole
// Ethernet frames, no header before them. The interface lives as long as the descriptor. It starts down, with carrier.
//
// Locks: none. Reading and writing may happen at once from different threads, each by one thread at a time. They never
// sleep, so writing is allowed in atomic context. Errors: opening fails with a sentence for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "host/fd.h"
#include "host/host_error.h"
#include "host/netns.h"
#include "usernic/annotations.h"
#include "usernic/error.h"

namespace usernic {

class Tap {
 public:
  // Makes the interface in that namespace. EBUSY: the name is in use. EINVAL: not a name of an interface.
  // EACCES, ENOENT, ENODEV of /dev/net/tun: the sentence says how to open it.
  static HostResult<Tap> create(const NetNamespace& netns, const std::string& name);

  // The next frame that the kernel sent: its size, at most the buffer's; a frame that fills the buffer may have been
  // longer. EAGAIN: none now. Anything else (EBADFD): the interface is gone.
  Result<size_t> read(std::span<uint8_t> buffer) noexcept USERNIC_NONBLOCKING;
  // Gives the kernel a frame. EIO: the interface is down.
  Result<> write(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING;

  // Context: process; the kernel takes rtnl.
  Result<> set_carrier(bool on) noexcept;

  int fd() const noexcept { return fd_.get(); }
  const std::string& name() const noexcept { return name_; }

 private:
  Tap(UniqueFd fd, std::string name) noexcept : fd_(std::move(fd)), name_(std::move(name)) {}
  UniqueFd fd_;
  std::string name_;
};

}  // namespace usernic
// Explained best by: host/tap_test.cc
