// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the kernel wants changed on the device that may take the driver long: open, close, MTU, own address,
// carrier.
//
// The loop's thread sets a wish and goes on; an item of an ordered queue carries out the newest of all, and never two
// at once. The queue is the port's own, not the device's lane: each operation parks that lane, which asks a filter
// command that takes seconds to stop. `answered` says when the device has answered to everything that was wished for;
// only then do its values count as an answer.
//
// The item holds no reference on the device, so it does not hold up its unregistering: the owner keeps the memory by
// a DeviceHandle, and a device that is gone answers ENODEV.
// Locks: one for the wishes, held for moments. Context: process.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "host/refused_wish.h"
#include "usernic/kick.h"
#include "usernic/lock.h"
#include "usernic/net.h"
#include "usernic/net_device.h"
#include "usernic/work.h"

namespace usernic {

class DeviceWishes {
 public:
  // `answered` is kicked when an item has run. `log` gets a sentence for each refusal.
  DeviceWishes(NetDevice& dev, Kick& answered, const std::function<void(const std::string&)>& log);
  // Requires: stopped.
  ~DeviceWishes() = default;
  DeviceWishes(const DeviceWishes&) = delete;
  DeviceWishes& operator=(const DeviceWishes&) = delete;

  void wish_up(bool up);
  void wish_mtu(uint32_t mtu);
  void wish_address(const MacAddress& address);
  void wish_carrier(bool on);

  // Has the device answered to the newest of each?
  bool answered() const;
  // The last wish that the device refused.
  std::optional<RefusedWish> refused() const;
  // Nothing is carried out any more. Waits for what the driver is doing, after asking it to stop.
  void stop();
  // Did the kernel have the device opened, and not closed since? Then closes it. Requires: stopped.
  void undo();

 private:
  struct Wishes {
    std::optional<bool> up;
    std::optional<uint32_t> mtu;
    std::optional<MacAddress> address;
    std::optional<bool> carrier;
  };

  template <class Change>
  void wish(Change change);
  void carry_out();
  void set_up(bool up);
  // `what()` is the wish in words.
  template <class What>
  void check(const Result<>& result, What what) noexcept;

  NetDevice& dev_;
  Kick& answered_;
  const std::function<void(const std::string&)>& log_;
  static constexpr LockClass kClass{"host_port_wishes"};
  mutable Mutex lock_{kClass};
  Wishes wishes_ USERNIC_GUARDED_BY(lock_);
  uint64_t wished_ USERNIC_GUARDED_BY(lock_) = 0;  // generation of the newest
  uint64_t done_ USERNIC_GUARDED_BY(lock_) = 0;    // generation that was carried out
  std::optional<RefusedWish> refused_ USERNIC_GUARDED_BY(lock_);
  bool opened_ = false;  // the item's; after stop, undo's
  Workqueue queue_;
  Work work_;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
