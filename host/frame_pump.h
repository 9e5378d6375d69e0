// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: frames between a device and its interface's end (kernel_end.h).
//
//   NAPI poll --receive--> the pump of its RX queue --> the end
//   the end --> the pump of each of its queues --> the TX queue of the same number
//
// A TAP has as many queues, each with a descriptor and a pump (queue_pump.h), as the device has TX queues:
// those are what the kernel sends by; a veth has one for all. What the i-th RX queue receives goes in by the i-th of
// them, in turn where there are more of the kind: the kernel then sends the flow by that one, too, so that a flow has
// one queue both ways. (A flow that began with what was sent moves once, at the first frame that comes back; and so
// does one of which nothing was received for three seconds, when the kernel forgets.)
//
// Both ways a frame may be a superframe. The kernel is asked for those that the device takes; with the feature kGso,
// for all: what the device cannot the core does.
//
// Locks: none of its own. Errors: counted.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "host/kernel_end.h"
#include "host/queue_pump.h"
#include "usernic/env.h"
#include "usernic/kick.h"
#include "usernic/net_device.h"
#include "usernic/port.h"
#include "usernic/skb.h"

namespace usernic {

class FramePump final : public DevicePort {
 public:
  // `changed` is kicked when the carrier changes. `log` gets a sentence about a driver that keeps frames. All of them
  // outlive the pump; `woken` are its own, one for each of the end's queues.
  FramePump(NetDevice& dev, KernelEnd& end, Readers& readers, Kick& changed, std::vector<Kick> woken,
            const std::function<void(const std::string&)>& log);
  // Sleeps, for seconds at most, until frames that are out are back.
  ~FramePump();
  FramePump(const FramePump&) = delete;
  FramePump& operator=(const FramePump&) = delete;

  // Fails when the device has a port already, is not registered, or the machine has no memory
  // for a reader's work. Context: process.
  HostResult<> start();
  // When it returns nobody is in the pump any more, and no frame moves. Context: process.
  void stop();
  // Something changed that may have opened the queue, or closed the device. Context: any.
  void look_again() noexcept USERNIC_NONBLOCKING;

  // Frames that the kernel did not take (the interface is down), and that no device of this MTU can send.
  uint64_t receive_dropped() const noexcept { return receive_dropped_.load(); }
  uint64_t oversized() const noexcept;
  uint64_t overrun() const noexcept;  // that the kernel sent, and that found no room
  const std::deque<QueuePump>& queues() const noexcept { return pumps_; }

 private:
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override { receive_from(0, frames); }
  void receive_from(uint16_t queue, SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  void tx_wake(TxQueue& queue) noexcept USERNIC_NONBLOCKING override;
  void carrier_changed(bool on) noexcept USERNIC_NONBLOCKING override;
  Features superframes() const noexcept USERNIC_NONBLOCKING override { return taken_; }

  void follow_features() noexcept;

  NetDevice& dev_;
  KernelEnd& end_;
  Kick& changed_;
  Atomic<uint64_t> receive_dropped_{0};
  bool attached_ = false;
  Features taken_;      // superframes that the kernel takes; constant once the port is attached
  Features asked_for_;  // superframes that it is to send; the first pump's reader's
  std::deque<QueuePump> pumps_;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
