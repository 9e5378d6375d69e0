// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests, the simulator and the fuzzers: what a receive filter holds, and what a command does to it. A card that is
// nothing but a filter begins with this and adds how it fails.
#pragma once

#include <algorithm>
#include <set>

#include "usernic/error.h"
#include "usernic/rx_filter.h"

namespace usernic {

struct HeldFilter {
  std::set<MacAddress> exact[2];  // by AddressClass
  std::set<uint32_t> buckets[2];
  std::set<uint16_t> vlans;
  bool promisc = false, allmulti = false, vlan_open = true;

  static uint32_t hash(const MacAddress& address) noexcept {
    return static_cast<uint32_t>(address.to_u64() * 2654435761u >> 7);
  }

  // `hash_of_it`: of the address, whichever the card has.
  bool accepts(const MacAddress& address, const RxFilterCaps& caps, uint32_t hash_of_it) const {
    const bool multicast = address.is_multicast();
    const uint32_t count = multicast ? caps.multicast_hash_buckets : caps.unicast_hash_buckets;
    return promisc || (multicast && allmulti) || exact[0].contains(address) || exact[1].contains(address) ||
           (count != 0 && buckets[multicast].contains(hash_of_it % count));
  }
  bool accepts(const MacAddress& address, const RxFilterCaps& caps) const {
    return accepts(address, caps, hash(address));
  }

  // Slots that are free. `missing`: so many fewer than it declares, in each table.
  size_t room(const RxFilterCaps& caps, bool multicast, size_t missing = 0) const {
    const size_t slots = multicast && !caps.shared_slots ? caps.multicast_slots : caps.unicast_slots;
    const size_t taken = exact[multicast].size() + (caps.shared_slots ? exact[!multicast].size() : 0);
    return slots - std::min(slots, taken + missing);
  }

  // no_space_on_device: no slot is free.
  Result<> apply(const RxCommand& command, const RxFilterCaps& caps, size_t missing = 0) {
    const bool on = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kAdd ||
                    command.kind == RxCommandKind::kSetBucket;
    switch (command.object) {
      case RxObject::kPromisc:
        promisc = on;
        return {};
      case RxObject::kAllmulti:
        allmulti = on;
        return {};
      case RxObject::kVlanUnfiltered:
        vlan_open = on;
        return {};
      case RxObject::kVlan:
        return change(vlans, command.vlan, on, caps.vlan_slots - std::min<size_t>(caps.vlan_slots, vlans.size()));
      case RxObject::kUnicast:
      case RxObject::kMulticast:
        break;
    }
    const bool multicast = command.object == RxObject::kMulticast;
    if (command.kind == RxCommandKind::kSetBucket || command.kind == RxCommandKind::kClearBucket) {
      return change(buckets[multicast], command.bucket, on, SIZE_MAX);
    }
    return change(exact[multicast], command.address, on, room(caps, multicast, missing));
  }

 private:
  template <class T>
  static Result<> change(std::set<T>& set, const T& item, bool on, size_t room) {
    if (!on) {
      set.erase(item);
    } else if (!set.contains(item)) {
      if (room == 0) return fail(std::errc::no_space_on_device);
      set.insert(item);
    }
    return {};
  }
};

}  // namespace usernic
