// SPDX-License-Identifier: Apache-2.0
// host: one net_device shown to a kernel as an interface.
//
// The interface is a TAP in some network namespace. Frames go both ways (frame_pump.h). What the kernel's stack wants
// received (mirror.h) becomes references in the device's lists, and up/down, MTU and own address follow in both
// directions (follow.h).
//
//   mirror thread: events, pictures --> address lists, promiscuity, allmulti      (any context: never waits for a card)
//                   --> wishes --queue--> open, close, MTU, address, carrier, parking the lane    (newest wins)
//                   <-- answers, the device's own changes --> the TAP, by rtnetlink, its carrier by ioctl
//
// No kernel caller ever waits for the driver: the kernel changes its TAP and goes on. A change that the device refuses
// is taken back on the TAP, with a sentence in the log. A join that the kernel announces is in the device's lists
// within milliseconds, a silent one at the next audit (mirror.h has the rhythm), or when somebody asks (`wait_known`).
//
// Life: made on a registered device, destroyed before the device is freed; it survives the device's unregistering in
// between. Destruction undoes everything: references, an open that the kernel asked for, the interface.
// Locks: one of its own for the wishes; below everything. Errors: HostError, with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/host_error.h"
#include "host/netns.h"
#include "usernic/device_ref.h"
#include "usernic/env.h"
#include "usernic/error.h"

namespace usernic {

struct HostPortConfig {
  std::string name;                                 // of the interface
  bool up = true;                                   // set the interface up; otherwise it follows the device
  std::vector<std::string> ip_addresses;            // "10.9.0.1/24"
  Duration audit = std::chrono::milliseconds(250);  // from one look for what the kernel does not announce to the next
  std::function<void(const std::string&)> log = [](const std::string&) {};  // one sentence; from any thread
};

struct HostPortStatus {
  bool joins_are_announced = false;
  bool interface_gone = false;  // somebody deleted it
  uint64_t pictures = 0;
  uint64_t pictures_failed = 0;
  uint64_t events = 0;
  uint64_t last_picture_us = 0;
  uint64_t receive_dropped = 0;  // frames that the kernel did not take
  uint64_t oversized = 0;        // frames of the kernel that were too long for the device
};

class HostPort {
 public:
  // Shows `dev` in `netns`. EBUSY: the name is in use, or the device is shown already. Context: process, no locks.
  static HostResult<std::unique_ptr<HostPort>> create(NetDevice& dev, const NetNamespace& netns, HostPortConfig config);
  // Context: process, no locks.
  ~HostPort();
  HostPort(const HostPort&) = delete;
  HostPort& operator=(const HostPort&) = delete;

  const std::string& name() const noexcept;
  int ifindex() const noexcept;
  HostPortStatus status() const;

  // Sleeps until what the kernel wanted at `as_of` is in the device's lists and the device has answered to it: takes a
  // look at the kernel's lists that began since then. No card is waited for, but for what the kernel wants of the
  // device besides its filter. ETIMEDOUT; ENODEV: the interface is gone, or the port is closing, which waits for those
  // who sleep here. Context: process.
  Result<> wait_known(Time as_of, Time deadline);

 private:
  class Impl;
  explicit HostPort(std::unique_ptr<Impl> impl) noexcept;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
