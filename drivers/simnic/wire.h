// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: the wire: whoever is plugged into one hears what the others send.
//
// Delivery happens in the sender's context, which may be a start_xmit: nothing here sleeps or allocates. One SpinLock
// a wire is held while a burst is delivered, so a port that was unplugged hears nothing any more once `unplug` has
// returned, and may be destroyed. Order, outermost first:
//
//   the sender's xmit lock -> wire -> the receiver's card lock          (never the sender's card lock before the wire)
//                                  -> the receiver's interrupt handler  (which schedules NAPI)
//
// So a port must not send from within `hear`. Wires are found by name in a `Wires`, which somebody owns; there is no
// global one.
//
// Flow control [IEEE 802.3 annex 31B]: a port that can take no frame makes who offers some wait, and `xon` ends that
// [PAUSE with a time, and with zero]. A wire is one shared medium, where every frame comes to everybody. So every pause
// holds for everybody who keeps to pauses, whomever his frames are for, and no pause lasts longer than its port says.
#pragma once

#include <boost/intrusive/list.hpp>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "drivers/simnic/frame.h"
#include "usernic/annotations.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/work.h"

namespace usernic::simnic {

class Wire;

// How many frames a port can take now; none: it makes others wait, until then at the latest. A superframe is as many as
// have its octets; one at least fits where there is room at all.
struct Room {
  uint32_t frames = std::numeric_limits<uint32_t>::max();
  Time until = Time::min();
  uint32_t frame_bytes = std::numeric_limits<uint32_t>::max();
};

// What is plugged into a wire: a card, or a test's ear.
class WireEnd {
 public:
  // Context: BH disabled, the wire's lock held. After an answer without room a change for the better comes with `xon`.
  virtual Room room() noexcept USERNIC_NONBLOCKING { return {}; }
  // The longest superframe that it takes; 0: none, and no frame whose sum is needed. Context: as `room`.
  virtual uint32_t superframe_max() const noexcept USERNIC_NONBLOCKING { return 0; }
  // Nobody may have to wait any more: offer again what was not taken. Context: any, locks of the wire held, so not
  // from within the call.
  virtual void resume() noexcept USERNIC_NONBLOCKING {}
  // Frames are valid during the call. Context: BH disabled, the wire's lock held.
  virtual void hear(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  ~WireEnd() = default;

 private:
  friend class Wire;
  using Hook = boost::intrusive::list_member_hook<>;
  Hook hook_;          // in the wire's ports
  Hook waiting_hook_;  // in those that wait
};

class Wire {
 public:
  // `workqueue` is for whoever is plugged in: what it does later, or in process context.
  Wire(std::string name, Workqueue& workqueue) : name_(std::move(name)), workqueue_(workqueue) {}
  // Requires: everybody is unplugged.
  ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  const std::string& name() const noexcept { return name_; }
  Workqueue& workqueue() const noexcept USERNIC_NONBLOCKING { return workqueue_; }

  // Context: process or BH; not from `hear`. Unplugging who is not plugged in is no error.
  void plug(WireEnd& port) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  void unplug(WireEnd& port) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);

  // Everybody but `from` hears the frames, in order, room or not. Returns false, and nobody hears a thing, when `from`
  // is not plugged in. Context: process or BH.
  bool send(WireEnd& from, std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);

  // The longest superframe that everybody but `from` takes.
  uint32_t superframe_max(const WireEnd& from) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);

  struct Taken {
    bool plugged = true;
    uint32_t frames = 0;       // the first so many were heard
    Time until = Time::min();  // none was: look again then, or when `from.resume` is called before
  };
  // As `send`, for who keeps to pauses: as many of the frames, of which there are some, as everybody has room for.
  Taken offer(WireEnd& from, std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  // Somebody who had no room has some, or asks nobody to wait any more. Context: any.
  void xon() noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(waiting_lock_);

 private:
  static constexpr LockClass kLockClass{"simnic_wire"};
  static constexpr LockClass kWaitingClass{"simnic_wire_waiting", LockUse::kAnyContext};
  template <WireEnd::Hook WireEnd::*hook>
  using Ports = boost::intrusive::list<WireEnd, boost::intrusive::member_hook<WireEnd, WireEnd::Hook, hook>>;

  Room room_beside(const WireEnd& from) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void deliver(const WireEnd& from, std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);

  const std::string name_;
  Workqueue& workqueue_;
  SpinLock lock_{kLockClass};
  Ports<&WireEnd::hook_> ports_ USERNIC_GUARDED_BY(lock_);
  SpinLock waiting_lock_{kWaitingClass};  // within `lock_`, or alone: `xon` comes from anywhere
  Ports<&WireEnd::waiting_hook_> waiting_ USERNIC_GUARDED_BY(waiting_lock_);
};

class Wires {
 public:
  // `workqueue`: of its wires.
  explicit Wires(Workqueue& workqueue) noexcept : workqueue_(workqueue) {}
  Wires(const Wires&) = delete;
  Wires& operator=(const Wires&) = delete;

  // The wire of that name, made when it is asked for first. Context: process.
  std::shared_ptr<Wire> wire(std::string_view name) USERNIC_EXCLUDES(lock_);

 private:
  static constexpr LockClass kLockClass{"simnic_wires"};
  Workqueue& workqueue_;
  Mutex lock_{kLockClass};
  std::map<std::string, std::shared_ptr<Wire>, std::less<>> wires_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/wire_test.cc
