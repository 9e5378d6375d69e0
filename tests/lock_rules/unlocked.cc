// SPDX-License-Identifier: Apache-2.0 OR MIT
// One of each kind of what requires addr_list_lock, under it and, what Clang refuses with the sentence beside it,
// without.
#include "core/rx/rx_status.h"

namespace usernic {

#define LOCKED ListGuard guard(wanted.lock, wanted.level())

void read_wanted(const Wanted& wanted) {
  {
    LOCKED;
    (void)wanted.promiscuity.total();
  }
  // expected-error@+1 {{reading variable 'promiscuity' requires holding addr_list_lock}}
  (void)wanted.promiscuity.total();
}

void change(Wanted& wanted) {
  {
    LOCKED;
    (void)wanted.next_generation();
  }
  // expected-error@+1 {{calling function 'next_generation' requires holding addr_list_lock}}
  (void)wanted.next_generation();
}

void look_up(const Wanted& wanted, const MacAddress& address) {
  {
    LOCKED;
    (void)wanted.uc.find(address);
  }
  // expected-error@+1 {{calling function 'find' requires holding addr_list_lock}}
  (void)wanted.uc.find(address);
}

void settle(const Wanted& wanted, Link& link) {
  {
    LOCKED;
    link.settle_own();
  }
  // expected-error@+1 {{calling function 'settle_own' requires holding addr_list_lock}}
  link.settle_own();
}

void write_committed(const Wanted& wanted, RxStatus& status) {
  {
    LOCKED;
    ++status.committed().runs;
  }
  // expected-error@+1 {{calling function 'committed' requires holding addr_list_lock}}
  ++status.committed().runs;
}

void commit(const Wanted& wanted, CardFilter& filter, RxStep& step) {
  {
    LOCKED;
    filter.answer(step, false, Time{});
  }
  // expected-error@+1 {{calling function 'answer' requires holding addr_list_lock}}
  filter.answer(step, false, Time{});
}

void read_filter(const Wanted& wanted, const CardFilter& filter) {
  {
    LOCKED;
    (void)filter.covers(AddressClass::kUnicast, false, 0);
  }
  // expected-error@+1 {{calling function 'covers' requires holding addr_list_lock}}
  (void)filter.covers(AddressClass::kUnicast, false, 0);
}

bool read_flag(const Wanted& wanted, const CardFlag& flag) {
  {
    LOCKED;
    if (flag.sure) return true;
  }
  // expected-error@+1 {{reading variable 'sure' requires holding addr_list_lock}}
  return flag.sure;
}

void drain(const Wanted& wanted, CardFilter& filter) {
  {
    LOCKED;
    (void)filter.drain(1);
  }
  // expected-error@+1 {{calling function 'drain' requires holding addr_list_lock}}
  (void)filter.drain(1);
}

// Of two devices, the lower one's is taken by a plain guard.
void nested(const Wanted& wanted, const Wanted& lower) {
  LOCKED;
  { SpinGuard below(lower.lock, lower.level()); }
  // expected-error@+1 {{acquiring addr_list_lock 'addr_list_lock' that is already held}}
  ListGuard below(lower.lock, lower.level());
}

}  // namespace usernic
