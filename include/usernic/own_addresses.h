// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a device's own addresses: the primary one, by which it is known, and others (LAN, SAN) that it answers to.
//
// The primary address is the first entry, and NetDevice::address is its value. It changes in place: by `set`, which
// asks nobody, or by NetDevice::set_mac_address, which asks notifiers and the driver first. `primary` points at its
// octets, for code that knows dev->dev_addr. Only `set` writes them; `check` compares them with a copy.
//
// Locks: rtnl, for everything but `set` before registration; not with an addr_list_lock held. [netdevices: address
// lists, dev_addr_*]
#pragma once

#include <cstdint>

#include "usernic/context.h"
#include "usernic/error.h"
#include "usernic/hw_addr_list.h"
#include "usernic/mac_address.h"

namespace usernic {

struct Device;

class OwnAddresses {
 public:
  OwnAddresses(Device& dev, const MacAddress& address);
  OwnAddresses(const OwnAddresses&) = delete;
  OwnAddresses& operator=(const OwnAddresses&) = delete;

  // One reference more or less. A notifier may refuse an addition (kPreChangeAddr), and hears of both (kChangeAddr).
  // ENOENT: there is no reference, or only the last one of the primary address. [kernel: dev_addr_add, dev_addr_del]
  Result<> add(const MacAddress& address, uint8_t type, Place where = Place::current());
  Result<> del(const MacAddress& address, uint8_t type, Place where = Place::current());

  // Writes part of the primary address: no driver call, no notifier. Requires: offset + len <= 6. [kernel:
  // dev_addr_mod]
  void set(size_t offset, const void* octets, size_t len, Place where = Place::current());
  const uint8_t* primary() noexcept { return list_.first()->addr; }
  // False, after a contract report, when the octets were written by somebody else [kernel: dev_addr_check].
  bool check(Place where = Place::current());
  // Back to one primary address, all zeros / to nothing but the primary one. [kernel: dev_addr_init, dev_addr_flush]
  void init();
  void flush();

  HwAddrList& list() noexcept { return list_; }

 private:
  void publish();

  Device& dev_;
  HwAddrList list_;
  MacAddress shadow_;
};

}  // namespace usernic
// Explained best by: core/device/own_addresses_test.cc
