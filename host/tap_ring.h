// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: many reads or writes of a TAP in one system call. [io_uring(7)]
//
// What was added is carried out by `submit`, in order, and has ended when that returns: a TAP's descriptor is
// non-blocking, so nothing waits in the kernel, and the memory of an operation is the ring's for that call only. No
// reference to the descriptor is kept: a ring that still winds up holds no interface.
// When a ring goes, the kernel interrupts each thread that submitted by it once, some time later.
//
// A port has one or none (TapIo), for each direction.
//
// Locks: none; by one thread at a time. Errors: a kernel that has no io_uring, or forbids it, is what `create` says;
// many containers do.
#pragma once

#include <liburing.h>

#include <array>
#include <memory>
#include <span>

#include "usernic/annotations.h"
#include "usernic/atomic.h"
#include "usernic/error.h"

namespace usernic {

class TapRing {
 public:
  static constexpr uint32_t kDepth = 64;  // operations of one submit

  // Who submits: always the thread that creates it, or whoever has it.
  enum class Submitter : uint8_t { kCreator, kAnybody };
  // ENOSYS, EPERM: not on this kernel, not here. EMFILE, ENFILE, ENOMEM. Context: process.
  static Result<std::unique_ptr<TapRing>> create(Submitter who);
  // Would one work here, and may a TAP be read and written by it? EOPNOTSUPP: Linux has that since 6.4. Context:
  // process.
  static Result<> works_here();
  ~TapRing();
  TapRing(const TapRing&) = delete;
  TapRing& operator=(const TapRing&) = delete;

  // Requires: less than kDepth were added since the last submit; `parts`, and the memory they name, stay until then.
  void add_read(int fd, std::span<const iovec> parts) noexcept USERNIC_NONBLOCKING;
  void add_write(int fd, std::span<const iovec> parts) noexcept USERNIC_NONBLOCKING;
  void add_write(int fd, std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING;

  // What came of each, in order: octets, or a negative errno. What the kernel did not take has -ECANCELED, and the ring
  // is broken from then on: it takes nothing more. Never sleeps.
  std::span<const int32_t> submit() noexcept USERNIC_NONBLOCKING;
  bool broken() const noexcept { return broken_; }

 private:
  TapRing() noexcept = default;
  uint32_t reap() noexcept USERNIC_NONBLOCKING;

  io_uring ring_{};
  bool made_ = false;
  bool broken_ = false;
  uint32_t added_ = 0;
  std::array<int32_t, kDepth> results_{};
};

// How frames go through a TAP, one way: who reads or writes says so, anybody may ask.
class TapIo {
 public:
  enum class How : uint8_t { kCalls, kRing, kRefused };  // a call a frame so far; by a ring; it cannot be had

  void by_ring() noexcept USERNIC_NONBLOCKING { state_.store(kByRing, std::memory_order_relaxed); }
  void refused(std::errc why) noexcept { state_.store(static_cast<int>(why), std::memory_order_relaxed); }
  How how() const noexcept {
    const int state = state_.load(std::memory_order_relaxed);
    return state == kByRing ? How::kRing : state == 0 ? How::kCalls : How::kRefused;
  }
  std::errc why() const noexcept { return static_cast<std::errc>(state_.load(std::memory_order_relaxed)); }

 private:
  static constexpr int kByRing = -1;
  RawAtomic<int> state_{0};
};

}  // namespace usernic
// Explained best by: host/tap_ring_test.cc
