// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: what a card may hold, drawn at random: little, so that it overflows. Promisc stays, as the last way in.
#pragma once

#include "testing/chance.h"
#include "usernic/rx_filter.h"

namespace usernic {

inline RxFilterCaps random_caps(Chance& chance) {
  RxFilterCaps caps;
  caps.unicast_slots = static_cast<uint32_t>(chance.below(4));
  caps.multicast_slots = static_cast<uint32_t>(chance.below(4));
  caps.shared_slots = chance.one_in(3);
  caps.own_address_uses_slot = chance.one_in(2) && caps.unicast_slots != 0;
  if (chance.one_in(3)) caps.unicast_hash_buckets = 4;
  if (chance.one_in(2)) caps.multicast_hash_buckets = 4;
  caps.allmulti = !chance.one_in(4);
  caps.vlan_slots = static_cast<uint32_t>(chance.below(3));
  return caps;
}

}  // namespace usernic
