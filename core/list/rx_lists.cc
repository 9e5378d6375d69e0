// SPDX-License-Identifier: Apache-2.0 OR MIT
// Under addr_list_lock, everything.
#include "usernic/rx_lists.h"

#include "core/list/address_table.h"
#include "core/list/vlan_set.h"

namespace usernic {

bool RxLists::vlan(uint16_t id) const noexcept {
  return id < kVlanIds && (*static_cast<const VlanSet*>(vlans_))[id];
}

MacAddress RxLists::Range::Iterator::operator*() const noexcept {
  return entry_->address();
}

uint64_t RxLists::Range::Iterator::references() const noexcept {
  return entry_->references();
}

uint32_t RxLists::count(AddressClass address_class) const noexcept {
  uint32_t count = 0;
  for (const AddressEntry* entry = next(address_class, nullptr); entry != nullptr; entry = next(address_class, entry)) {
    ++count;
  }
  return count;
}

const AddressEntry* RxLists::next(AddressClass address_class, const AddressEntry* after) const noexcept {
  addr_list_lock.assert_held();
  const AddressTable& table = *tables_[static_cast<size_t>(address_class)];
  while ((after = table.next_entry(after)) != nullptr) {
    const bool users = after->references() != 0;
    if (!as_drained_) {  // any reader: an entry's state is the run's own
      if (users) return after;
      continue;
    }
    const bool drained = after->state != CardState::kAbsent && after->state != CardState::kLeaving;
    if (drained && (users || after->address() != own_)) return after;
  }
  return nullptr;
}

}  // namespace usernic
