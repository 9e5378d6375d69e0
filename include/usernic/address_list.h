// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a device's unicast or multicast list: what somebody wants received besides the own address.
//
// Entries are counted references. An *effective* change (first reference taken, last one gone) moves the entry to the
// end of the list's change order; whoever follows the list - the card, lower devices - drains what stands behind its
// cursor. An entry lives while it is referenced or some follower still has to hear of its end.
//
// A list takes every address as it is, zeros and those of the other class too [kernel: dev_uc_add]: it is wanted, goes
// into a slot, bucket or flag as the others of that list do, and is covered when they would be. Whether a card's hash
// or allmulti passes an address of the other class is the card's affair. What can be an own address: is_valid_own.
//
// Locks: every function takes the device's addr_list_lock itself, for a bounded time. Context: any but hard irq.
// After an effective change the device's rx mode is run soon [kernel: __dev_set_rx_mode]. On a device that is gone
// every function answers ENODEV. Rules: [netdevices: address lists], the names of the kernel in kernel/names.h.
#pragma once

#include <cstdint>
#include <vector>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic {

class AddressList {
 public:
  AddressList(const AddressList&) = delete;
  AddressList& operator=(const AddressList&) = delete;

  // One reference more. ENOMEM.
  Result<> add(const MacAddress& address);
  // The "global" reference, refused with EEXIST while a user holds the address. EINVAL, ENOMEM as above.
  Result<> add_excl(const MacAddress& address);
  // The one "global" reference; taking it twice is no error and counts once.
  Result<> add_global(const MacAddress& address);
  // One reference less, the global one last / the global one. ENOENT: there is none.
  Result<> del(const MacAddress& address);
  Result<> del_global(const MacAddress& address);
  // Drops every reference of users. References taken by `sync` stay.
  Result<> flush();

  bool contains(const MacAddress& address) const;
  uint32_t references(const MacAddress& address) const;  // 0: not there
  uint32_t size() const;                                 // takes no lock
  // Every wanted address, sorted. Taken in chunks: changes meanwhile may or may not be in it.
  std::vector<MacAddress> snapshot() const;

 protected:
  AddressList() = default;
  ~AddressList() = default;
};

// By hand what a LowerLink (lower_link.h) does by itself: `to`, a list of a lower device, follows `from`. The first
// call subscribes; each brings over what changed since the last one. O(changes), in chunks. EINVAL: not the same class,
// the same device, or devices of two Nets. ELOOP: `to` is above `from`, by links or by sync. ENOSPC: 64 followers.
// ENOMEM. [kernel: dev_uc_sync, dev_uc_sync_multiple, dev_uc_unsync and the mc ones; one mechanism for both syncs]
Result<> sync(AddressList& to, AddressList& from);
// Takes back all that `sync` brought, and unsubscribes. Nothing when it does not follow.
void unsync(AddressList& to, AddressList& from);
// `sync` for who holds `from`'s addr_list_lock: RxMode::lock_lists, a set_rx_mode, a prepare_rx_mode. It is carried out
// when that is let go, before unlock_lists returns or the driver's call counts as done. EINVAL, ENOMEM as above; of
// what shows only then, ELOOP and ENOSPC are contract reports. An `unsync` of another thread in between comes too
// early: the lane orders the two. [kernel: dev_uc_sync, which wants that lock held]
Result<> sync_when_unlocked(AddressList& to, AddressList& from, Place where = Place::current()) noexcept
    USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/list/address_list_test.cc
