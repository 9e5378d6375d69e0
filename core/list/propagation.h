// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: passes what changed in an upper device's lists and counters on to the devices under it.
//
// `serve` goes down the whole stack with the locks nested, upper then lower; the lock levels, and a graph without
// loops, are why that ends. It tells about kBudget entries. What has to be done without locks waits for `finish`.
#pragma once

#include <boost/container/static_vector.hpp>

#include "core/list/address_table.h"
#include "usernic/device_ref.h"

namespace usernic {

class Wanted;

class Propagation {
 public:
  Propagation() noexcept {}
  ~Propagation() { finish(); }
  Propagation(const Propagation&) = delete;
  Propagation& operator=(const Propagation&) = delete;

  // Returns true when every device directly below knows all of it, or will after `finish`. Requires: `upper`'s lock.
  bool serve(Wanted& upper) USERNIC_REQUIRES(addr_list_lock);
  // The runs that lower devices owe now, and another try where a pool was empty. Requires: no lock of a list.
  void finish() {
    if (!owed_.empty() || starved_.dev) finish_below();
  }

 private:
  static constexpr int kBudget = AddressTable::kChunk;

  void starve(Wanted& upper, Wanted& lower, bool of_vlan_refs);
  void finish_below();

  int budget_ = kBudget;
  struct Held {  // a device, kept in memory
    DeviceHandle dev;
    Wanted* wanted = nullptr;
  };
  boost::container::static_vector<Held, kBudget> owed_;  // every device told costs one of the budget
  Held behind_;                                          // an upper that was left, because
  Held starved_;                                         // this one had no room
  bool starved_of_vlan_refs_ = false;
};

}  // namespace usernic
