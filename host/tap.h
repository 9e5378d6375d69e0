// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a TAP, the kernel's end of a cable whose other end is a descriptor.
//
// What the kernel sends on the interface is read from the descriptor, what is written is received by the kernel: whole
// Ethernet frames, each behind a header that says what is left to do on it (vnet_header.h). The interface lives as long
// as the descriptor, unless it is persistent: made beforehand (`ip tuntap add`), it is attached to and stays. It starts
// without carrier: the kernel's operational state follows the carrier's changes, and would stay unknown without one.
// Whoever may can rename it, move it to another namespace or delete it: the descriptor knows its name and its
// namespace.
//
// Locks: none. Reading and writing may happen at once from different threads, each by one thread at a time. They never
// sleep, so writing is allowed in atomic context. Errors: opening fails with a sentence for people.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bus/netif/vnet_header.h"
#include "host/host_error.h"
#include "host/netns.h"
#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/skb.h"
#include "usernic/unique_fd.h"

namespace usernic {

class Tap {
 public:
  // Makes the interface in that namespace, or attaches to a persistent TAP that is there. EBUSY: the name is in use,
  // the sentence says by what. EINVAL: not a name of an interface. EACCES, ENOENT, ENODEV of /dev/net/tun: the sentence
  // says how to open it.
  static HostResult<Tap> create(const NetNamespace& netns, const std::string& name);

  // Takes frames whose sum is needed from the kernel, and superframes of those of the kinds that it has, which it
  // returns. Or nothing of the kind, as it begins: it is given whole frames.
  Features take_superframes(Features kinds) noexcept;
  void take_nothing_offloaded() noexcept;

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

  // Context: process; the kernel takes rtnl.
  Result<> set_carrier(bool on) noexcept;

  // What the kernel calls it now. EBADFD: it is gone. Context: process; the kernel takes rtnl.
  Result<std::string> name_now() const;
  // Where it is now. EBADFD: it is gone. EPERM: in a namespace that is not ours to enter. Context as above.
  HostResult<NetNamespace> netns_now() const;

  // The interface goes, or is left alone. Nothing else may be called afterwards.
  void close() noexcept { fd_.reset(); }

  int fd() const noexcept { return fd_.get(); }
  bool persistent() const noexcept { return persistent_; }
  const std::string& name() const noexcept { return name_; }  // when it was opened

 private:
  Tap(UniqueFd fd, std::string name, bool persistent) noexcept
      : fd_(std::move(fd)), name_(std::move(name)), persistent_(persistent) {}
  UniqueFd fd_;
  std::string name_;
  bool persistent_;
};

}  // namespace usernic
// Explained best by: host/tap_test.cc
