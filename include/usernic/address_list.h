// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a device's unicast or multicast list: what somebody wants received besides the own address.
//
// An entry is an address with counted references. A change is *effective* when it takes the first reference or drops
// the last one; it moves the entry to the end of the list's change order. The card and lower devices subscribe to the
// list: each has a cursor in that order and drains what stands behind it. An entry lives while it has references or a
// subscriber still has to hear of its end.
//
// A list takes every address as it is, also zeros and those of the other class [kernel: dev_uc_add]. Such an address
// goes into a slot, bucket or flag like the others of its list. Whether a card's hash or allmulti passes an address of
// the other class is the card's affair. is_valid_own says what can be an own address.
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

// Does by hand what a LowerLink (lower_link.h) does by itself: `to`, a list of a lower device, gets what `from` has.
// The first call subscribes; each call brings over what changed since the last one. O(changes), in chunks. EINVAL: not
// the same class, the same device, or devices of two Nets. ELOOP: `to` is above `from`, by LowerLinks or by sync.
// ENOSPC: 64 subscribers. ENOMEM. [kernel: dev_uc_sync, dev_uc_sync_multiple, dev_uc_unsync and the mc ones; one
// mechanism here]
Result<> sync(AddressList& to, AddressList& from);
// Takes back all that `sync` brought, and unsubscribes. Nothing when `to` is not subscribed.
void unsync(AddressList& to, AddressList& from);
// `sync` for a caller that holds `from`'s addr_list_lock: Porting::lock_lists, a set_rx_mode, a prepare_rx_mode. It is
// carried out when the lock is released, before unlock_lists returns or the driver's call counts as done. EINVAL,
// ENOMEM as above. ELOOP and ENOSPC show only then and are contract reports. An `unsync` by another thread in between
// comes too early: order the two by the lane. [kernel: dev_uc_sync, which wants that lock held]
Result<> sync_when_unlocked(AddressList& to, AddressList& from, Place where = Place::current()) noexcept
    USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/list/address_list_test.cc
