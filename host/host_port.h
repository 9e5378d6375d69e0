// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: one net_device shown to a kernel as an interface.
//
// The interface is a TAP in some network namespace, or a veth where there is no /dev/net/tun. Frames go both ways
// (frame_pump.h). What the kernel's stack wants received (mirror.h) becomes references in the device's lists, and
// up/down, MTU and own address follow in both directions (follow.h).
//
// Its kernel side (kernel_follower.h) runs in a loop's thread that many ports share (host_loop.h). The frames that the
// kernel sends are read by threads that many ports share, too (readers.h): each of the interface's queues has one of
// them for its home. A TAP has as many queues as the device has TX queues, a veth has one.
//
// No kernel caller ever waits for the driver: the kernel changes its interface and goes on. A change that the device
// refuses is taken back on the TAP, with a sentence in the log and a place in the status. A join that the kernel
// announces is in the device's lists within milliseconds, a silent one at the next audit (mirror.h has the rhythm), or
// when somebody asks (`wait_known`).
//
// Whoever administers the interface may rename it, and move it to another namespace: it is followed there, by sockets
// that are opened there, and home again. Where it cannot be followed (the namespace is not ours to enter) it has no
// carrier, so that nobody takes it for working, until it comes back. While it is served elsewhere that namespace is
// held. Deleted, it is gone: another port has to be made.
//
// Life: made on a registered device, destroyed before the device is freed; it survives the device's unregistering in
// between. Its end undoes everything: references, an open that the kernel asked for, the interface. One that was
// there before (a persistent TAP) is left as it was found.
// Locks: one of its own for the wishes; below everything. Errors: HostError, with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/host_error.h"
#include "host/netns.h"
#include "host/refused_wish.h"
#include "usernic/device_ref.h"
#include "usernic/env.h"
#include "usernic/error.h"

namespace usernic {

class HostLoop;

// What the interface is: whichever can be had, a TAP first; a TAP; a veth.
enum class PortKind : uint8_t { kAny, kTap, kVeth };

struct HostPortConfig {
  std::string name;  // of the interface
  PortKind kind = PortKind::kAny;
  bool up = true;                         // set the interface up; otherwise it follows the device
  std::vector<std::string> ip_addresses;  // "10.9.0.1/24"
  std::function<void(const std::string&)> log = [](const std::string&) {};  // one sentence; from any thread
};

enum class Whereabouts : uint8_t {
  kHome,        // where it was made
  kElsewhere,   // in another namespace, and served there
  kOutOfReach,  // in another namespace, and not served: it has no carrier
  kGone,        // somebody deleted it
};

struct HostPortStatus {
  bool joins_are_announced = false;
  std::string interface;  // what the kernel calls it; its last name when it is gone
  Whereabouts whereabouts = Whereabouts::kHome;
  uint64_t netns = 0;  // NetNamespace::id() of where it is; 0: not known
  uint64_t pictures = 0;
  uint64_t pictures_failed = 0;
  uint64_t events = 0;
  uint64_t last_picture_us = 0;
  uint64_t receive_dropped = 0;  // frames that the kernel did not take
  uint64_t oversized = 0;        // frames of the kernel that were too long for the device
  uint64_t overrun = 0;          // frames of the kernel that waited for no room here, where it says so
  std::string kind;              // "tap", "veth"; "": no interface
  std::string io;  // how frames go: "io_uring"; "calls", so far; why each is one: "EPERM"; many a call: "mmsg"
  std::optional<RefusedWish> refused = std::nullopt;  // the last one
};

class HostPort {
 public:
  // Shows `dev` in `netns`, by a loop that outlives it. EBUSY: the name is in use, or the device is shown already.
  // Context: process, no locks.
  static HostResult<std::unique_ptr<HostPort>> create(HostLoop& loop, NetDevice& dev, const NetNamespace& netns,
                                                      HostPortConfig config);
  // Context: process, no locks.
  ~HostPort();
  HostPort(const HostPort&) = delete;
  HostPort& operator=(const HostPort&) = delete;

  // Its end, as by destruction; only the status can still be asked for. A second time: nothing. Context: process, no
  // locks, one thread.
  void close();

  // The same for many of one loop. Their interfaces go together, for which the kernel takes as long as for one.
  static void close_all(std::span<const std::shared_ptr<HostPort>> ports);

  // What the kernel calls the interface at this moment; its last name when it is gone. Context: process; the kernel
  // takes rtnl.
  std::string name_now() const;
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
