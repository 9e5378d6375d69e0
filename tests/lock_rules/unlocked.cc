// SPDX-License-Identifier: Apache-2.0 OR MIT
// One of each kind of what requires addr_list_lock, under it; CASE_name leaves the lock out of one.
#include "core/rx/rx_status.h"

namespace usernic {

#define LOCKED ListGuard guard(wanted.lock, wanted.level())
#define UNLOCKED (void)wanted

uint32_t read_wanted(const Wanted& wanted) {
#ifdef CASE_wanted
  UNLOCKED;
#else
  LOCKED;
#endif
  return wanted.promiscuity.total();
}

uint64_t change(Wanted& wanted) {
#ifdef CASE_change
  UNLOCKED;
#else
  LOCKED;
#endif
  return wanted.next_generation();
}

bool look_up(const Wanted& wanted, const MacAddress& address) {
#ifdef CASE_table
  UNLOCKED;
#else
  LOCKED;
#endif
  return wanted.uc.find(address) != nullptr;
}

void settle(const Wanted& wanted, Link& link) {
#ifdef CASE_link
  UNLOCKED;
#else
  LOCKED;
#endif
  link.settle_own();
}

void write_committed(const Wanted& wanted, RxStatus& status) {
#ifdef CASE_committed
  UNLOCKED;
#else
  LOCKED;
#endif
  ++status.committed().runs;
}

void commit(const Wanted& wanted, CardFilter& filter, RxStep& step) {
#ifdef CASE_answer
  UNLOCKED;
#else
  LOCKED;
#endif
  filter.answer(step, false, Time{});
}

bool read_filter(const Wanted& wanted, const CardFilter& filter) {
#ifdef CASE_reader
  UNLOCKED;
#else
  LOCKED;
#endif
  return filter.covers(AddressClass::kUnicast, false, 0);
}

bool read_flag(const Wanted& wanted, const CardFilter& filter) {
#ifdef CASE_flag
  UNLOCKED;
#else
  LOCKED;
#endif
  return filter.flag(RxObject::kPromisc).sure;
}

bool drain(const Wanted& wanted, CardFilter& filter) {
#ifdef CASE_drain
  UNLOCKED;
#else
  LOCKED;
#endif
  return filter.drain(1);
}

// Of two devices, the lower one's is taken by a plain guard.
void nested(const Wanted& wanted, const Wanted& lower) {
  LOCKED;
#ifdef CASE_twice
  ListGuard below(lower.lock, lower.level());
#else
  SpinGuard below(lower.lock, lower.level());
#endif
}

}  // namespace usernic
