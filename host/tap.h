// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a TAP, the kernel's end of a cable whose other end is a descriptor, or several (tap_queue.h).
//
// The interface lives as long as its descriptors, unless it is persistent: made beforehand (`ip tuntap add`), it is
// attached to and stays. It starts without carrier: the kernel's operational state follows the carrier's changes, and
// would stay unknown without one. Whoever may can rename it, move it to another namespace or delete it: a descriptor
// knows its name and its namespace.
//
// Locks: none. Errors: opening fails with a sentence for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/host_error.h"
#include "host/netns.h"
#include "host/tap_queue.h"
#include "usernic/error.h"
#include "usernic/features.h"

namespace usernic {

class Tap {
 public:
  // Makes the interface in that namespace, or attaches to a persistent TAP that is there. EBUSY: the name is in use,
  // the sentence says by what. EINVAL: not a name of an interface. EACCES, ENOENT, ENODEV of /dev/net/tun: the sentence
  // says how to open it. With several queues it is a TAP of several [IFF_MULTI_QUEUE]; a persistent one must have been
  // made as such, or as the other kind.
  static HostResult<Tap> create(const NetNamespace& netns, const std::string& name, uint16_t queues = 1);

  // Takes frames whose sum is needed from the kernel, and superframes of those of the kinds that it has, which it
  // returns. Or nothing of the kind, as it begins: it is given whole frames.
  Features take_superframes(Features kinds) noexcept;
  void take_nothing_offloaded() noexcept;

  // Context: process; the kernel takes rtnl.
  Result<> set_carrier(bool on) noexcept;

  // What the kernel calls it now. EBADFD: it is gone. Context: process; the kernel takes rtnl.
  Result<std::string> name_now() const;
  // Where it is now. EBADFD: it is gone. EPERM: in a namespace that is not ours to enter. Context as above.
  HostResult<NetNamespace> netns_now() const;

  // The interface goes, or is left alone. Nothing else may be called afterwards.
  void close() noexcept { queues_.clear(); }

  size_t queue_count() const noexcept { return queues_.size(); }
  TapQueue& queue(size_t index) noexcept { return queues_[index]; }
  bool persistent() const noexcept { return persistent_; }
  const std::string& name() const noexcept { return name_; }  // when it was opened

 private:
  Tap(std::vector<TapQueue> queues, std::string name, bool persistent) noexcept
      : queues_(std::move(queues)), name_(std::move(name)), persistent_(persistent) {}
  int fd() const noexcept { return queues_.empty() ? -1 : queues_.front().fd(); }  // any knows the interface
  std::vector<TapQueue> queues_;
  std::string name_;
  bool persistent_;
};

}  // namespace usernic
// Explained best by: host/tap_test.cc
