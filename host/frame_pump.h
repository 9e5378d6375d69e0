// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: frames between a device and its TAP.
//
//   NAPI poll --receive--> TapWriter --> TAP       (in the poll's context; what the kernel refuses is dropped)
//   TAP --> TapReader, on a thread --> one xmit    (a batch at a time, one doorbell)
//
// Both ways a frame may be a superframe. The kernel is asked for those that the device takes; with the feature kGso,
// for all: what the device cannot the core does.
//
// A stopped TX queue stops the reader, not the kernel: frames wait in the TAP's queue, and what does not fit there is
// dropped by the kernel, as on any NIC. A frame goes to the queue of its flow, or the one that select_queue says. Where
// there are several, the reader keeps what waits for a stopped one, up to kLeftMax frames of each, and goes on for the
// others; not while superframes that wait have half of the buffers that there are for those. It sleeps on the TAP while
// it may read, and on tx_wake.
//
// Buffers are as long as the device's MTU asks for, and take memory when they are used, the last one freed first; the
// reader keeps a batch of them at hand. A larger MTU takes a pool of longer buffers, and the one before goes when its
// last frame is back. Superframes have a pool of their own beside it, and are cut into its buffers.
//
// Locks: none of its own. Errors: counted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/frame_pools.h"
#include "host/tap.h"
#include "host/tap_reader.h"
#include "host/tap_writer.h"
#include "usernic/env.h"
#include "usernic/kick.h"
#include "usernic/long_wait.h"
#include "usernic/net_device.h"
#include "usernic/port.h"
#include "usernic/skb.h"
#include "usernic/thread.h"

namespace usernic {

class FramePump final : public DevicePort {
 public:
  // `changed` is kicked when the carrier changes. `log` gets a sentence about a driver that
  // keeps frames. All of them outlive the pump; `woken` is its own.
  FramePump(NetDevice& dev, Tap& tap, Kick& changed, Kick woken, const std::function<void(const std::string&)>& log);
  ~FramePump();
  FramePump(const FramePump&) = delete;
  FramePump& operator=(const FramePump&) = delete;

  // EBUSY: the device has a port already. EAGAIN: the machine refuses the thread. Context: process.
  Result<> start();
  // When it returns nobody is in the pump any more, and no frame moves. Context: process.
  void stop();
  // Something changed that may have opened the queue, or closed the device. Context: any.
  void look_again() noexcept USERNIC_NONBLOCKING { woken_.kick(); }

  // Frames that the kernel did not take (the TAP is down), and that no device of this MTU can send.
  uint64_t receive_dropped() const noexcept { return receive_dropped_.load(); }
  uint64_t oversized() const noexcept { return from_tap_.oversized(); }
  // How frames go to the kernel, and come from it.
  const TapIo& writes() const noexcept { return to_tap_.io(); }
  const TapIo& reads() const noexcept { return from_tap_.io(); }

 private:
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  void tx_wake(TxQueue& queue) noexcept USERNIC_NONBLOCKING override;
  void carrier_changed(bool on) noexcept USERNIC_NONBLOCKING override;
  Features superframes() const noexcept USERNIC_NONBLOCKING override { return taken_; }

  void follow_features() noexcept;
  void read_loop();
  bool read_batch(SkbBatch& frames);
  bool has_left() const noexcept;
  bool holds_enough() noexcept;
  bool look_at_queues() noexcept;
  bool fit_pool(uint32_t frame_bytes_max);
  uint32_t frames_out() const;
  void leave_frames() noexcept;
  void wait(bool for_frames, bool for_memory);

  NetDevice& dev_;
  Tap& tap_;
  Kick& changed_;
  const std::function<void(const std::string&)>& log_;
  // Changed by the reader alone, once it runs.
  std::vector<std::unique_ptr<FramePools>> pools_;  // the last one serves
  uint32_t buffer_bytes_ = 0;                       // of its buffers
  Kick woken_;
  Atomic<bool> stopping_{false};
  Atomic<uint64_t> receive_dropped_{0};
  bool attached_ = false;
  // The reader's.
  static constexpr uint32_t kLeftMax = 64;
  // What a TX queue has taken so far, and since when it takes nothing of what is left for it.
  struct Progress {
    uint64_t taken = 0;
    std::optional<LongWait> wait{};
  };
  std::vector<SkbBatch> left_;      // by TX queue
  std::vector<Progress> progress_;  // by TX queue
  TapReader from_tap_;
  TapWriter to_tap_;
  Features taken_;                        // superframes that the kernel takes
  Features asked_for_;                    // superframes that it is to send
  std::optional<LongWait> lacks_memory_;  // while there is no buffer to read into
  Thread reader_;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
