// SPDX-License-Identifier: Apache-2.0 OR MIT
// capture: a device's frames as pcapng, written to a descriptor while they move.
//
//   auto capture = Capture::start(dev, std::move(socket), {.name = dev.name(), .application = "mine 1.0"});
//
// A packet has its direction, its time, and as comments why it was dropped, and what the device's filter does since the
// packet before; that is a journal entry of its own, too. Nobody who has a frame waits for it: what the reader is too
// slow for is lost, and counted, in the packet after it and in the statistics at the end.
//
// It ends when it is stopped or destroyed; when the device is unregistered; when the reader closes or, of a socket,
// says that he sends no more: then he gets all that has been seen, however slow he is. The descriptor is closed after
// the statistics, whose comment says why, if the reader does not know. Requires: SIGPIPE is ignored, unless it is a
// socket.
//
// Context: process, neither rtnl nor the device's instance lock held.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "capture/frame_ring.h"
#include "capture/pcapng.h"
#include "usernic/device_handle.h"
#include "usernic/lock.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"
#include "usernic/unique_fd.h"

namespace usernic {

struct CaptureOptions {
  std::string name, description, application;  // of the interface, and of who captures
  uint32_t snap_bytes = pcapng::kSnapMax;      // of a frame
  // What can wait for the reader, besides what the kernel keeps; rounded up, so that any frame has room.
  size_t buffer_bytes = 8 << 20;
};

class Capture {
 public:
  // EBUSY: the device has kFrameTapsMax. ENODEV: it is not registered. EAGAIN, EMFILE, ENFILE: no thread, no descriptor
  // is to be had. Throws std::bad_alloc. `to` is made non-blocking. `ended` is called at last, by the capture's thread,
  // and may not destroy it there. Requires: the Net outlives it.
  static Result<std::unique_ptr<Capture>> start(
      NetDevice& dev, UniqueFd to, CaptureOptions options, std::move_only_function<void()> ended = [] {});
  // As `stop`, and waits for the end.
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // What has been seen is still written, for as long as kEndMax; the rest is lost, and counted. `why`: the statistics'
  // comment. Context: any thread.
  void stop(std::string_view why);
  static constexpr Duration kEndMax = std::chrono::seconds(3);

  // What such a one has for its frames, and this one.
  static size_t buffer_bytes(const CaptureOptions& options) noexcept {
    return FrameRing::rounded(options.buffer_bytes, options.snap_bytes);
  }
  size_t buffer_bytes() const noexcept { return buffer_bytes(options_); }

 private:
  Capture(NetDevice& dev, UniqueFd to, CaptureOptions options, Kick kick, std::move_only_function<void()> ended);
  enum class Reader : uint8_t { kListens, kHasEnough, kIsGone };
  void run();
  void capture();
  Time stopped_at();
  void end();
  uint64_t wall(Time at) const noexcept;
  bool take_some();
  void take(const FrameRing::Frame& frame);
  void tell_rx_mode(Time at);
  void lose_the_rest();
  void add_statistics();
  bool write();
  Reader wait(bool worked);
  enum class Flushed : uint8_t { kAll, kTooSlow, kNobodyReads };
  Flushed flush(Duration after_stop);

  const DeviceHandle dev_;
  UniqueFd to_;
  const bool is_socket_;
  const CaptureOptions options_;
  Kick kick_;
  FrameRing ring_;
  std::move_only_function<void()> ended_;
  static constexpr LockClass kClass{"capture"};
  Mutex lock_{kClass};
  Time stopped_at_ USERNIC_GUARDED_BY(lock_) = kForever;
  std::string why_ USERNIC_GUARDED_BY(lock_);
  // Of the time of day, of Clock: once for all, so that packets stay in order when somebody sets it.
  const uint64_t ahead_ns_;
  // The thread's.
  std::string out_;  // blocks; up to `written_` they are
  size_t written_ = 0;
  pcapng::Statistics counted_;
  RxModeStatus rx_mode_;      // as it was told last
  std::string rx_mode_news_;  // for the next packet
  Thread thread_;
};

}  // namespace usernic
// Explained best by: capture/capture_test.cc
