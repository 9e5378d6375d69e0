// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: everything that a card shall accept, as a driver reads it under addr_list_lock.
//
// prepare_rx_mode and the legacy set_rx_mode are given it, and condense it into register values. Nothing is copied: it
// is valid, and does not change, while addr_list_lock is held. Context: any.
//
//   for (MacAddress address : lists.multicast()) image.hash |= 1ull << bucket_of(address);
//
// In a driver's rx-mode call it shows what that call is to bring about, with the core's own decisions (promisc because
// the card is full). Elsewhere (Porting::lists) it shows what is wanted now. Rules: [netdevices: ndo_set_rx_mode].
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/mac_address.h"
#include "usernic/rx_filter.h"

namespace usernic {

class AddressTable;
struct AddressEntry;

class RxLists {
 public:
  bool promisc() const noexcept USERNIC_NONBLOCKING { return promisc_; }
  bool allmulti() const noexcept USERNIC_NONBLOCKING { return allmulti_; }
  MacAddress own_address() const noexcept USERNIC_NONBLOCKING { return own_; }
  // Off: every VLAN passes, whatever the ids.
  bool vlan_filter() const noexcept USERNIC_NONBLOCKING { return vlan_filter_; }
  bool vlan(uint16_t id) const noexcept USERNIC_NONBLOCKING;

  // The addresses of a class, in the order in which they came, without the own address.
  class Range {
   public:
    class Iterator {
     public:
      MacAddress operator*() const noexcept USERNIC_NONBLOCKING;
      Iterator& operator++() noexcept USERNIC_NONBLOCKING {
        entry_ = lists_->next(class_, entry_);
        return *this;
      }
      bool operator==(const Iterator& other) const noexcept USERNIC_NONBLOCKING { return entry_ == other.entry_; }
      uint64_t references() const noexcept USERNIC_NONBLOCKING;

     private:
      friend class Range;
      const RxLists* lists_;
      AddressClass class_;
      const AddressEntry* entry_;
    };
    Iterator begin() const noexcept USERNIC_NONBLOCKING { return make(lists_->next(class_, nullptr)); }
    Iterator end() const noexcept USERNIC_NONBLOCKING { return make(nullptr); }

   private:
    friend class RxLists;
    Range(const RxLists& lists, AddressClass address_class) noexcept USERNIC_NONBLOCKING : lists_(&lists),
                                                                                           class_(address_class) {}
    Iterator make(const AddressEntry* entry) const noexcept USERNIC_NONBLOCKING {
      Iterator it;
      it.lists_ = lists_;
      it.class_ = class_;
      it.entry_ = entry;
      return it;
    }
    const RxLists* lists_;
    AddressClass class_;
  };
  Range unicast() const noexcept USERNIC_NONBLOCKING { return Range(*this, AddressClass::kUnicast); }
  Range multicast() const noexcept USERNIC_NONBLOCKING { return Range(*this, AddressClass::kMulticast); }
  // Walks the list.
  uint32_t count(AddressClass address_class) const noexcept USERNIC_NONBLOCKING;

 private:
  friend class CallView;
  RxLists() = default;
  const AddressEntry* next(AddressClass address_class, const AddressEntry* after) const noexcept USERNIC_NONBLOCKING;

  const AddressTable* tables_[2] = {};  // by AddressClass
  const void* vlans_ = nullptr;         // VlanSet of the core
  MacAddress own_;
  bool as_drained_ = false;  // what the running call works towards; otherwise what is wanted now
  bool promisc_ = false;
  bool allmulti_ = false;
  bool vlan_filter_ = false;
};

}  // namespace usernic
// Explained best by: core/rx/rx_image_style_test.cc
