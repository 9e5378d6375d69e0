// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what readers and waiters see of a device's rx mode: modes, reasons, tickets, settling.
//
// The run writes `Committed` under addr_list_lock, and the committed part of the filter; nobody here waits for a card.
#pragma once

#include <string>

#include "core/filter/card_filter.h"
#include "core/filter/filter_view.h"
#include "core/list/wanted.h"
#include "core/rx/lag_histogram.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

namespace usernic {

class RxStatus {
 public:
  RxStatus(const Wanted& wanted, const CardFilter& filter, const Workqueue& lane) noexcept
      : wanted_(wanted), filter_(filter), lane_(lane) {}

  struct Committed {
    bool up = false;
    uint64_t epoch = 0;       // of the card, when the run that wrote this began
    uint64_t sampled = 0;     // generation that a run has seen
    uint64_t generation = 0;  // that is in effect
    FilterView view;
    uint64_t runs = 0, driver_calls = 0;
    uint64_t coalesced = 0;  // changes that another one's run took along
    LagHistogram lag;
  };
  // For the run.
  Committed& committed() noexcept USERNIC_REQUIRES(addr_list_lock) { return committed_; }
  void wake() noexcept { published_.wake(); }

  // Grows when the card forgets: what was committed before is not true of it.
  Atomic<uint64_t> card_epoch{1};
  bool valid() const noexcept USERNIC_REQUIRES(addr_list_lock) {
    return committed_.up && committed_.epoch == card_epoch.load();
  }
  const Committed& committed() const noexcept USERNIC_REQUIRES(addr_list_lock) { return committed_; }

  bool covers(const MacAddress& address) const;
  RxModeStatus read() const;
  RxTicket ticket(const MacAddress& address) const;
  Result<> wait(const RxTicket& ticket, Time deadline, Place where) const;
  Result<> settle(Time deadline, Place where) const;

 private:
  // rx_status.cc
  FilterMode mode_of(AddressClass address_class) const noexcept USERNIC_REQUIRES(addr_list_lock);
  std::string reason() const USERNIC_REQUIRES(addr_list_lock);
  std::string reason_of_class(AddressClass address_class) const USERNIC_REQUIRES(addr_list_lock);
  std::string reason_of_vlans() const USERNIC_REQUIRES(addr_list_lock);
  void fill(RxModeStatus& status) const;
  void fill_addresses(AddressClass address_class, RxModeStatus& status) const;
  // rx_tickets.cc
  Result<bool> ticket_state(const RxTicket& ticket) const;  // true: done; false: pending
  void check_may_wait(Place where) const;

  const Wanted& wanted_;
  const CardFilter& filter_;
  const Workqueue& lane_;
  mutable WaitQueue published_;
  Committed committed_ USERNIC_GUARDED_BY(addr_list_lock);
};

}  // namespace usernic
