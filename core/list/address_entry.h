// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one address of one list.
//
// Three groups of members with one writer each: what is wanted (addr_list_lock, any context), what readers may know
// of the card (rx-mode work, under addr_list_lock), and what the rx-mode work keeps for itself (no lock).
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "core/list/retry.h"
#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic {

// A place in a list's change order: an entry, or the cursor of a subscriber.
struct OrderNode {
  boost::intrusive::list_member_hook<> order_hook;
  uint64_t generation = 0;  // of the last effective change; 0: a cursor
};

// What an entry is to the card [shared with the tests: the table of states].
enum class CardState : uint8_t {
  kAbsent,   // not wanted as drained, or never told
  kTrying,   // wanted; to be programmed exactly
  kExact,    // wanted; programmed exactly
  kOver,     // wanted; no slot: hash, allmulti or promisc carries it
  kEvict,    // wanted; programmed exactly, but its slot is needed: leaves once something else covers it
  kLeaving,  // not wanted; still, or perhaps, on the card
};
inline constexpr size_t kCardStates = 6;

// What only the card's side of an entry needs, in a cache line far from those that changes and look-ups go through.
struct alignas(64) CardEntry {
  boost::intrusive::list_node_traits<void*>::node hook;  // in a CardList, first: the rx-mode work's own

  // Of the card, for readers.
  Retry retry;          // of a command that failed
  std::errc error{};    // of the last failure
  uint32_t bucket = 0;  // rx_hash, when the class has one
};

// One cache line: all that a change and a look-up touch.
struct alignas(64) AddressEntry : OrderNode {
  // The units of `refs`: 22 bits for the uppers' references, 40 for the users'.
  static constexpr uint64_t kOwn = 1;            // the device's own address, where that uses a slot; once
  static constexpr uint64_t kGlobal = 2;         // taken by add_global or add_excl; once
  static constexpr uint64_t kUpper = 4;          // taken by a link or by sync
  static constexpr uint64_t kUser = 1ull << 24;  // taken by add
  static constexpr bool referenced(uint64_t refs) noexcept { return refs > kOwn; }

  // Wanted.
  AddressEntry* hash_next = nullptr;
  uint64_t key = 0;   // MacAddress::to_u64
  uint64_t told = 0;  // a bit per subscriber that was told of it and not yet of its end
  uint64_t refs = 0;  // who wants it: a sum of the units below, so that whether anybody does is one look

  // Of the card, for readers.
  bool sure = false;     // programmed exactly, without doubt
  bool leaving = false;  // a run saw that nobody wants it: whoever does again must not count on what is taken off
  bool covers() const noexcept { return sure && !leaving; }

  // The rx-mode work's own.
  CardState state = CardState::kAbsent;
  bool maybe = false;    // a slot may be taken
  bool refused = false;  // never this one, until it goes or the card forgets
  bool parked = false;   // failed: not before its time
  bool hashed = false;   // counted among the users of its bucket

  // EntryPool lays out so many entries, and then their card sides.
  static constexpr size_t kInSlab = 512;
  CardEntry& card() noexcept { return *reinterpret_cast<CardEntry*>(this + kInSlab); }
  const CardEntry& card() const noexcept { return *reinterpret_cast<const CardEntry*>(this + kInSlab); }

  bool own() const noexcept { return (refs & kOwn) != 0; }
  bool global() const noexcept { return (refs & kGlobal) != 0; }
  bool has_users() const noexcept { return refs >= kUser; }
  bool referenced() const noexcept { return referenced(refs); }
  uint64_t references() const noexcept { return refs / kUser + refs % kUser / kUpper + global(); }
  bool wanted() const noexcept { return refs != 0; }
  MacAddress address() const noexcept { return MacAddress::from_u64(key); }
};
static_assert(sizeof(AddressEntry) == 64 && sizeof(CardEntry) == sizeof(AddressEntry));

using OrderList = boost::intrusive::list<
    OrderNode, boost::intrusive::member_hook<OrderNode, boost::intrusive::list_member_hook<>, &OrderNode::order_hook>,
    boost::intrusive::constant_time_size<false>>;

// How a list of entries hangs together by their card sides.
struct CardHook {
  using node_traits = boost::intrusive::list_node_traits<void*>;
  using node = node_traits::node;
  using node_ptr = node*;
  using const_node_ptr = const node*;
  using value_type = AddressEntry;
  using pointer = AddressEntry*;
  using const_pointer = const AddressEntry*;
  static constexpr auto link_mode = boost::intrusive::normal_link;
  static node_ptr to_node_ptr(AddressEntry& entry) noexcept { return &entry.card().hook; }
  static const_node_ptr to_node_ptr(const AddressEntry& entry) noexcept { return &entry.card().hook; }
  static pointer to_value_ptr(node_ptr hook) noexcept {
    return reinterpret_cast<AddressEntry*>(hook) - AddressEntry::kInSlab;
  }
  static const_pointer to_value_ptr(const_node_ptr hook) noexcept {
    return reinterpret_cast<const AddressEntry*>(hook) - AddressEntry::kInSlab;
  }
};
using CardList = boost::intrusive::list<AddressEntry, boost::intrusive::value_traits<CardHook>>;

}  // namespace usernic
