// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a TAP, the kernel's end of a cable whose other end is a descriptor, or several (tap_queue.h).
//
// The interface lives as long as its descriptors, unless it is persistent: made beforehand (`ip tuntap add`), it is
// attached to and stays. Wherever it is, by whatever name, a descriptor knows that.
//
// Locks: none. Errors: opening fails with a sentence for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/host_error.h"
#include "host/kernel_end.h"
#include "host/netns.h"
#include "host/tap_queue.h"
#include "usernic/error.h"
#include "usernic/features.h"

namespace usernic {

class Tap final : public KernelEnd {
 public:
  // Makes the interface in that namespace, or attaches to a persistent TAP that is there. EBUSY: the name is in use,
  // the sentence says by what. EINVAL: not a name of an interface. EACCES, ENOENT, ENODEV of /dev/net/tun: the sentence
  // says how to open it. With several queues it is a TAP of several [IFF_MULTI_QUEUE]; a persistent one must have been
  // made as such, or as the other kind.
  static HostResult<Tap> create(const NetNamespace& netns, const std::string& name, uint16_t queues = 1);

  // As of any [kernel_end.h].
  Features take_superframes(Features kinds) noexcept override;
  void take_nothing_offloaded() noexcept override;
  Result<> set_carrier(bool on) noexcept override;
  Result<std::string> name_now() const override;
  HostResult<NetNamespace> netns_now() const override;
  void close() noexcept override { queues_.clear(); }
  size_t queue_count() const noexcept override { return queues_.size(); }
  std::unique_ptr<EndQueue> open_queue(size_t index, Kick& wanted, NetDevice* of) override;
  bool persistent() const noexcept override { return persistent_; }
  const std::string& name() const noexcept override { return name_; }
  std::string_view kind() const noexcept override { return "tap"; }

  TapQueue& queue(size_t index) noexcept { return queues_[index]; }

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
