// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frames out at once, from anywhere [kernel: netpoll].
//
// For who must say something whatever else goes on: a log that is read elsewhere while a poll hangs. A sender waits for
// nobody: what somebody holds is tried, not taken. While the queue is stopped, or somebody is in start_xmit, the device
// is polled for room: its driver's poll_controller, and each NAPI instance that nobody is in with a budget of 0. All
// with hard irqs disabled, as the contract has it. What finds no room is kept, some frames of it, and sent by a work
// item.
#pragma once

#include <cstdint>

#include "usernic/context.h"
#include "usernic/device_handle.h"
#include "usernic/lock.h"
#include "usernic/skb.h"
#include "usernic/work.h"

namespace usernic {

struct NetDevice;

class Netpoll {
 public:
  static constexpr uint32_t kKeptMax = 64;

  // Requires: the device has no lower ones, whose locks would be waited for.
  explicit Netpoll(NetDevice& dev);
  ~Netpoll();
  Netpoll(const Netpoll&) = delete;
  Netpoll& operator=(const Netpoll&) = delete;

  // Takes the frame. False: it is dropped, as the device is down or without carrier, or kept, or too many are kept.
  // Context: any, whatever is held.
  bool send(Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // Sleeps until what is kept is sent, or dropped. False: the deadline has passed. Context: process.
  bool flush(Time deadline);
  // Makes the driver look for what its card has done. Context: as above.
  static void poll(NetDevice& dev, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

  struct Counters {
    uint64_t sent = 0, later = 0, dropped = 0;
  };
  Counters counters() const noexcept USERNIC_NONBLOCKING;

 private:
  bool send_now(SkbBatch& one, Place where) noexcept USERNIC_NONBLOCKING;
  bool keep(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  void send_kept();

  const DeviceHandle dev_;
  static constexpr LockClass kClass{"netpoll", LockUse::kAnyContext};
  SpinLock lock_{kClass};
  SkbBatch kept_ USERNIC_GUARDED_BY(lock_);
  Atomic<uint32_t> kept_count_{0};  // with those that the work item has in its hands
  Atomic<uint64_t> sent_{0}, later_{0}, dropped_{0};
  Work send_kept_;
};

}  // namespace usernic
// Explained best by: core/device/netpoll_test.cc
