// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: frames between a device and one queue of its interface's end (kernel_end.h).
//
//   the poll of an RX queue --write--> the queue              (in the poll's context)
//   the queue --read, by a reader--> one xmit of a batch, one doorbell
//
// Where the end has several, the kernel has chosen by the frame's flow: what it sends by the i-th goes to the device's
// i-th TX queue. An end of one queue leaves that to a hash of the flow. The driver's select_queue has the last word.
//
// A stopped TX queue stops the reader, not the kernel: frames wait in the end's queue, and what does not fit there is
// dropped by the kernel, as on any NIC. Where frames of the queue go to several the reader keeps what waits for a
// stopped one, up to kLeftMax frames of each, and goes on for the rest; not while superframes that wait have half of
// the buffers that there are for those. The reader (readers.h) looks when the end has something while it may read, and
// at each `look_again`.
//
// Buffers are as long as the device's MTU asks for, and take memory when they are used, the last one freed first; the
// reader keeps a batch of them at hand, and where there are none it is kicked by the next one that is back. A larger
// MTU takes a pool of longer buffers, and the one before goes when its last frame is back. Superframes have a pool of
// their own beside it, and are cut into its buffers.
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
#include "host/kernel_end.h"
#include "host/readers.h"
#include "host/turn_loop.h"
#include "usernic/env.h"
#include "usernic/kick.h"
#include "usernic/long_wait.h"
#include "usernic/net_device.h"
#include "usernic/skb.h"

namespace usernic {

class QueuePump final : private TurnLoop::Client {
 public:
  // Between the end's `index`-th queue and the device. The reader, one of `readers`, calls `each_turn` before it reads.
  // `log` gets a sentence about a driver that keeps frames. All but `woken` outlive the pump.
  QueuePump(NetDevice& dev, KernelEnd& end, Readers& readers, uint16_t index, Kick woken,
            std::function<void()> each_turn, const std::function<void(const std::string&)>& log);
  // Requires: stopped. The memory of frames that are out is left to who keeps them.
  ~QueuePump();
  QueuePump(const QueuePump&) = delete;
  QueuePump& operator=(const QueuePump&) = delete;

  // The reader begins. Fails where the machine has no memory for that. Context: process.
  HostResult<> start();
  // When it returns it reads nothing any more. Context: process.
  void stop();

  // Gives frames that are out time to come back. Requires: stopped. Context: process.
  void wait_for_frames(Time deadline);

  // As EndQueue::write. Context: any.
  uint64_t write(SkbBatch& frames) noexcept USERNIC_NONBLOCKING { return queue_->write(frames); }
  // Something changed that may have opened a queue, or closed the device. Context: any.
  void look_again() noexcept USERNIC_NONBLOCKING { woken_.kick(); }
  // May it wait for a TX queue besides its own? Then it is to hear of all. Context: any.
  bool strays() const noexcept USERNIC_NONBLOCKING { return strays_.load(); }

  const EndQueue& queue() const noexcept { return *queue_; }

 private:
  Time turn() noexcept override;
  void look_at_waits() noexcept;
  Time next_turn(bool lacks_buffers) noexcept;
  Time look_for_buffers() noexcept;
  bool read_batch(SkbBatch& frames);
  bool has_left() const noexcept;
  bool begins_to_stray() noexcept;
  bool holds_enough() noexcept;
  bool look_at_queues() noexcept;
  bool fit_pool(uint32_t frame_bytes_max);
  uint32_t frames_out() const;
  void leave_frames() noexcept;

  NetDevice& dev_;
  KernelEnd& end_;
  const uint16_t index_;
  const bool one_target_;  // all that is read goes to one TX queue
  const std::function<void()> each_turn_;
  const std::function<void(const std::string&)>& log_;
  Readers::Home reader_;
  // Changed by the reader alone, once it has begun.
  std::vector<std::unique_ptr<FramePools>> pools_;  // the last one serves
  uint32_t buffer_bytes_ = 0;                       // of its buffers
  Kick woken_;
  Atomic<bool> strays_{false};
  // The reader's.
  static constexpr uint32_t kLeftMax = 64;
  // What a TX queue has taken so far, and since when it takes nothing of what is left for it.
  struct Progress {
    uint64_t taken = 0;
    std::optional<LongWait> wait{};
  };
  std::vector<SkbBatch> left_;      // by TX queue
  std::vector<Progress> progress_;  // by TX queue
  const std::unique_ptr<EndQueue> queue_;
  bool reads_ = true;                     // nothing that waits keeps it from that
  std::optional<LongWait> lacks_memory_;  // while there is no buffer to read into
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
