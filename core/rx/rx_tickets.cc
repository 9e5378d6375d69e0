// SPDX-License-Identifier: Apache-2.0 OR MIT
// Waiting for the rx mode: tickets, and everything.
#include "core/lock/mutation.h"
#include "core/rx/rx_status.h"
#include "core/work/current_work.h"
#include "usernic/contract_report.h"

namespace usernic {

RxTicket RxStatus::ticket(const MacAddress& address) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  return {address, wanted_.generation};
}

Result<bool> RxStatus::ticket_state(const RxTicket& ticket) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  if (wanted_.gone) return fail(std::errc::no_such_device);
  if (!committed_.up) return fail(std::errc::network_down);
  const WantedList& table = wanted_.wanting(ticket.address);
  const AddressEntry* entry = table.find(ticket.address);
  if (entry == nullptr || !entry->wanted() || entry->generation > ticket.generation) {
    return fail(std::errc::operation_canceled);
  }
  // Not by luck: what carries an address that no run has seen as wanted may be on its way off the card.
  const bool seen = (entry->told & AddressTable::kCardBit) != 0 && entry->generation <= committed_.sampled;
  const AddressClass address_class = table.address_class();
  if (seen && valid() && filter_.covers(address_class, entry->covers(), entry->card().bucket)) return true;
  const FilterLevel level = committed_.view.classes[static_cast<size_t>(address_class)].level;
  const bool drained = committed_.generation >= ticket.generation;
  if (drained && !entry->card().retry.owed() && level == FilterLevel::kDegraded) {
    return fail(std::errc::no_space_on_device);
  }
  return false;
}

// A run is what ends the wait, and a run needs the lane.
void RxStatus::check_may_wait(Place where) const {
  const ReportsOn concerned(lane_.device());
  if (!lane_.is_current()) return check_wait(lane_, "waiting for the rx mode", where);
  report_contract("wait-on-lane", "an item of a lane, or who parked it, waits for that lane's rx-mode work", where);
}

Result<> RxStatus::wait(const RxTicket& ticket, Time deadline, Place where) const {
  check_may_wait(where);
  while (true) {
    const uint32_t seen = published_.sequence();
    const Result<bool> state = ticket_state(ticket);
    if (!state) return fail(state.error());
    if (*state) return {};
    if (Clock::now() >= deadline) break;
    published_.wait_since(seen, deadline, where);
  }
  ListGuard guard(wanted_.lock, wanted_.level());
  const AddressEntry* entry = wanted_.wanting(ticket.address).find(ticket.address);
  const bool failed = entry != nullptr && entry->card().retry.owed();
  return fail(failed ? entry->card().error : std::errc::timed_out);
}

Result<> RxStatus::settle(Time deadline, Place where) const {
  check_may_wait(where);
  const uint64_t target = ticket({}).generation;
  while (true) {
    const uint32_t seen = published_.sequence();
    {
      ListGuard guard(wanted_.lock, wanted_.level());
      if (wanted_.gone) return fail(std::errc::no_such_device);
      if (!committed_.up) return fail(std::errc::network_down);
      const FilterView& view = committed_.view;
      const bool owes = view.deaf || view.retries_addresses || view.narrow_deferred || !view.in_effect;
      if (valid() && committed_.generation >= target && (!owes || mutated(Mutation::kSettleEarly))) return {};
    }
    if (Clock::now() >= deadline) return fail(std::errc::timed_out);
    published_.wait_since(seen, deadline, where);
  }
}

}  // namespace usernic
