// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the kernel's end of a cable whose other end is ours: an interface, and how its frames go. A TAP (tap.h), or a
// veth where there is no /dev/net/tun (veth.h).
//
// It starts without carrier: the kernel's operational state follows the carrier's changes, and would stay unknown
// without one. Whoever may can rename it, move it to another namespace or delete it.
//
// Locks, errors: as each has them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "host/frame_pools.h"
#include "host/host_error.h"
#include "host/netns.h"
#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/kick.h"
#include "usernic/skb.h"

namespace usernic {

struct NetDevice;

// One of its queues. Reading and writing may happen at once from different threads; one thread reads.
class EndQueue {
 public:
  virtual ~EndQueue() = default;

  virtual int fd() const noexcept = 0;  // readable when frames wait
  // What is there, behind what `frames` has; frames of more than `frame_bytes_max` octets are left out and counted.
  // False when there was not one buffer to read into: the device has them all. Context: process.
  virtual bool read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) = 0;
  // The buffers that it keeps at hand go back. Needed before other pools serve.
  virtual void free_spare() = 0;
  virtual bool gone() const noexcept = 0;  // nothing will ever be read again

  // Gives the kernel each of them, with its chain and what is left to do on it, and may take them. Returns how many, of
  // a superframe its segments, were not taken. Context: any.
  virtual uint64_t write(SkbBatch& frames) noexcept USERNIC_NONBLOCKING = 0;
  // Makes what `write` asked for by the kick. Context: process; the reader.
  virtual void make_ready() {}

  virtual uint64_t oversized() const noexcept = 0;         // frames of the kernel that were too long
  virtual uint64_t overrun() const noexcept { return 0; }  // that found no room in the queue, where the kernel says so
  // How frames go: HostPortStatus::io.
  virtual std::string io() const = 0;

 protected:
  EndQueue() = default;
};

class KernelEnd {
 public:
  virtual ~KernelEnd() = default;

  // Takes frames whose sum is needed from the kernel, and superframes of those of the kinds that it has, which it
  // returns. Or nothing of the kind, as it begins: it is given whole frames.
  virtual Features take_superframes(Features kinds) noexcept = 0;
  virtual void take_nothing_offloaded() noexcept = 0;

  // Context: process; the kernel takes rtnl.
  virtual Result<> set_carrier(bool on) noexcept = 0;

  // What the kernel calls it now. EBADFD: it is gone. Context: process; the kernel takes rtnl.
  virtual Result<std::string> name_now() const = 0;
  // Where it is now. EBADFD: it is gone. Others: in a namespace that is not ours to enter. Context as above.
  virtual HostResult<NetNamespace> netns_now() const = 0;

  // The interface goes, or is left alone. Nothing else may be called afterwards.
  virtual void close() noexcept = 0;

  virtual size_t queue_count() const noexcept = 0;
  // Frames of a queue; `wanted` is kicked when it is time for make_ready. `of`: the device whose taps see what is not
  // taken; null: nobody's. All outlive it. Once each.
  virtual std::unique_ptr<EndQueue> open_queue(size_t index, Kick& wanted, NetDevice* of) = 0;

  virtual bool persistent() const noexcept = 0;          // it was there before, and stays
  virtual const std::string& name() const noexcept = 0;  // when it was opened
  virtual std::string_view kind() const noexcept = 0;    // "tap", "veth"

 protected:
  KernelEnd() = default;
  KernelEnd(KernelEnd&&) = default;
  KernelEnd& operator=(KernelEnd&&) = default;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
