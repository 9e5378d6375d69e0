// SPDX-License-Identifier: Apache-2.0
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
#pragma once

#include <boost/intrusive/list.hpp>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "drivers/simnic/frame.h"
#include "usernic/annotations.h"
#include "usernic/lock.h"

namespace usernic::simnic {

class Wire;

// What is plugged into a wire: a card, or a test's ear.
class WirePort {
 public:
  // Frames are valid during the call. Context: BH disabled, the wire's lock held.
  virtual void hear(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  ~WirePort() = default;

 private:
  friend class Wire;
  boost::intrusive::list_member_hook<> hook_;
};

class Wire {
 public:
  explicit Wire(std::string name) : name_(std::move(name)) {}
  // Requires: everybody is unplugged.
  ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  const std::string& name() const noexcept { return name_; }

  // Context: process or BH; not from `hear`. Unplugging who is not plugged in is no error.
  void plug(WirePort& port) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  void unplug(WirePort& port) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);

  // Everybody but `from` hears the frames, in order. Returns false, and nobody hears a thing, when `from` is not
  // plugged in. Context: process or BH.
  bool send(WirePort& from, std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);

 private:
  static constexpr LockClass kLockClass{"simnic_wire"};
  using Ports = boost::intrusive::list<
      WirePort, boost::intrusive::member_hook<WirePort, boost::intrusive::list_member_hook<>, &WirePort::hook_>>;

  const std::string name_;
  SpinLock lock_{kLockClass};
  Ports ports_ USERNIC_GUARDED_BY(lock_);
};

class Wires {
 public:
  Wires() = default;
  Wires(const Wires&) = delete;
  Wires& operator=(const Wires&) = delete;

  // The wire of that name, made when it is asked for first. Context: process.
  std::shared_ptr<Wire> wire(std::string_view name) USERNIC_EXCLUDES(lock_);

 private:
  static constexpr LockClass kLockClass{"simnic_wires"};
  Mutex lock_{kLockClass};
  std::map<std::string, std::shared_ptr<Wire>, std::less<>> wires_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/wire_test.cc
