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
  (void)
      wanted.promiscuity.total();  // expected-error {{reading variable 'promiscuity' requires holding addr_list_lock}}
}

void change(Wanted& wanted) {
  {
    LOCKED;
    (void)wanted.next_generation();
  }
  (void)wanted
      .next_generation();  // expected-error {{calling function 'next_generation' requires holding addr_list_lock}}
}

void look_up(const Wanted& wanted, const MacAddress& address) {
  {
    LOCKED;
    (void)wanted.uc.find(address);
  }
  (void)wanted.uc.find(address);  // expected-error {{calling function 'find' requires holding addr_list_lock}}
}

void settle(const Wanted& wanted, Link& link) {
  {
    LOCKED;
    link.settle_own();
  }
  link.settle_own();  // expected-error {{calling function 'settle_own' requires holding addr_list_lock}}
}

void write_committed(const Wanted& wanted, RxStatus& status) {
  {
    LOCKED;
    ++status.committed().runs;
  }
  ++status.committed().runs;  // expected-error {{calling function 'committed' requires holding addr_list_lock}}
}

void commit(const Wanted& wanted, CardFilter& filter, RxStep& step) {
  {
    LOCKED;
    filter.answer(step, false, Time{});
  }
  filter.answer(step, false, Time{});  // expected-error {{calling function 'answer' requires holding addr_list_lock}}
}

void read_filter(const Wanted& wanted, const CardFilter& filter) {
  {
    LOCKED;
    (void)filter.covers(AddressClass::kUnicast, false, 0);
  }
  (void)filter.covers(  // expected-error {{calling function 'covers' requires holding addr_list_lock}}
      AddressClass::kUnicast, false, 0);
}

bool read_flag(const Wanted& wanted, const CardFlag& flag) {
  {
    LOCKED;
    if (flag.sure) return true;
  }
  return flag.sure;  // expected-error {{reading variable 'sure' requires holding addr_list_lock}}
}

void drain(const Wanted& wanted, CardFilter& filter) {
  {
    LOCKED;
    (void)filter.drain(1);
  }
  (void)filter.drain(1);  // expected-error {{calling function 'drain' requires holding addr_list_lock}}
}

// Of two devices, the lower one's is taken by a plain guard.
void nested(const Wanted& wanted, const Wanted& lower) {
  LOCKED;
  { SpinGuard below(lower.lock, lower.level()); }
  // expected-error@+1 {{acquiring addr_list_lock 'addr_list_lock' that is already held}}
  ListGuard below(lower.lock, lower.level());
}

}  // namespace usernic
