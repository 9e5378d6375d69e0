// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/rx_run.h"

#include <algorithm>
#include <optional>

#include "core/lock/mutation.h"
#include "core/work/current_work.h"

namespace usernic {

RxRun::RxRun(const RxCall::Bed& bed, RxCall& call, RxStatus& status, ToldFlags& told)
    : owed(bed.device.lane, work, bed.device.running),
      work([this] { run(); }, &bed.device.dev),
      retry([this] { run(); }, &bed.device.dev),
      device_(bed.device),
      wanted_(bed.wanted),
      filter_(bed.filter),
      requests_(bed.requests),
      lists_(bed.lists),
      call_(call),
      status_(status),
      told_(told) {}

void RxRun::run() {
  std::optional<MutexGuard> rtnl;
  if (device_.ops.requires_rtnl || mutated(Mutation::kRunUnderRtnl)) rtnl.emplace(device_.rtnl);
  MutexGuard il(device_.instance_lock);
  if (!mutated(Mutation::kNoRerun)) owed.begins();
  if (!device_.may_call()) return;
  begin();
  take_in(sample());
  decide();
  tell();
  if (owes_call()) {
    call();
    commit();
  }
  publish();
  arm();
  if (mutated(Mutation::kNoRerun)) owed.begins();
  if (again_) owed.owe();
}

void RxRun::begin() {
  again_ = called_ = false;
  check_epoch(false);
  now_ = Clock::now();
  const bool asked = requests_.take_retry(now_);
  if (asked) call_.make_due();
  filter_.wake(now_, asked || (call_.one_result() && !call_.retry().waits(now_)));
}

// The card forgot since the last run: nothing is on it, and nothing that was learned of it holds (R7).
void RxRun::check_epoch(bool in_call) {
  const uint64_t epoch = status_.card_epoch.load();
  if (epoch == epoch_) return;
  const bool first = std::exchange(epoch_, epoch) == 0;
  const bool believes = mutated(Mutation::kR7) && !first;
  if (!believes) {
    empty(false);
    lists_.forget(in_call);
    requests_.call();
    call_.forget();
  }
  ListGuard guard(wanted_.lock, wanted_.level());
  status_.committed().epoch = epoch;
  if (believes) return;
  filter_.unlearn();
  status_.committed().generation = 0;
}

void RxRun::empty(bool close) {
  for (bool more = true; more;) {
    ListGuard guard(wanted_.lock, wanted_.level());
    more = filter_.forget_chunk(close);
  }
  filter_.come_back();
}

void RxRun::opened() {
  status_.card_epoch.fetch_add(1);  // an empty filter, whatever was there before
  oldest_change_ = kForever;        // the time it was down is no lag
  {
    ListGuard guard(wanted_.lock, wanted_.level());
    filter_.rewind();
    wanted_.dirty = false;
    status_.committed().up = true;
  }
  owed.owe();
}

bool RxRun::sample() {
  ListGuard guard(wanted_.lock, wanted_.level());
  RxStatus::Committed& committed = status_.committed();
  if (wanted_.generation != target_.generation) committed.coalesced += wanted_.generation - target_.generation - 1;
  committed.sampled = target_.generation = wanted_.generation;
  target_.promisc = wanted_.promiscuity.total() != 0;
  target_.allmulti = wanted_.allmulti.total() != 0;
  if (wanted_.vlan_filter) vlans_ = wanted_.vlans;
  target_.vlan_filter = wanted_.vlan_filter;
  target_.own = wanted_.own;
  if (wanted_.dirty) oldest_change_ = std::min(oldest_change_, wanted_.dirty_since);
  wanted_.dirty = false;
  const bool drained = filter_.drain(target_.generation);
  if (filter_.caps().own_address_uses_slot) target_.own_entry = wanted_.uc.find(wanted_.own);
  return drained;
}

void RxRun::take_in(bool drained) {
  while (true) {
    if (filter_.take_in()) {
      ListGuard guard(wanted_.lock, wanted_.level());
      filter_.settle_drained();
    }
    if (drained || mutated(Mutation::kR19)) break;
    ListGuard guard(wanted_.lock, wanted_.level());
    drained = filter_.drain(target_.generation);
  }
  if (mutated(Mutation::kR1)) {
    ListGuard guard(wanted_.lock, wanted_.level());
    target_.promisc = wanted_.promiscuity.total() != 0;
  }
}

void RxRun::decide() {
  filter_.place(target_, vlans_, now_);
  const bool in_vain = call_.one_result() && call_.retry().waits(now_);
  steps_ = in_vain ? std::span<RxStep>() : std::span<RxStep>(filter_.plan(now_));
}

void RxRun::tell() {
  again_ |= told_.tell(device_, filter_, steps_);
}

void RxRun::call() {
  PlanBook book(steps_, filter_.free_slots(), current_stop_token(), status_.card_epoch, epoch_);
  again_ |= call_.call(book);
  requests_.call_is_over();
  stopped_ = book.stop().stop_requested();
  called_ = true;
  now_ = Clock::now();
}

void RxRun::commit() {
  // What was answered before the card forgot is gone with the rest; what was on its way then may have been done after.
  const bool forgot = status_.card_epoch.load() != epoch_;
  if (forgot) check_epoch(true);
  for (size_t first = 0; first < steps_.size(); first += AddressTable::kChunk) {
    ListGuard guard(wanted_.lock, wanted_.level());
    for (RxStep& step : steps_.subspan(first, std::min(AddressTable::kChunk, steps_.size() - first))) {
      forgot ? filter_.answer_forgotten(step) : filter_.answer(step, stopped_, now_);
    }
  }
  filter_.end_answers();
}

void RxRun::publish() {
  again_ |= filter_.again();
  FilterView view = filter_.view();
  view.in_effect = view.in_effect && !again_ && !call_.retry().owed();
  if (mutated(Mutation::kWakeFirst)) status_.wake();
  {
    ListGuard guard(wanted_.lock, wanted_.level());
    RxStatus::Committed& committed = status_.committed();
    ++committed.runs;
    committed.driver_calls += called_;
    committed.view = view;
    if (view.in_effect && status_.card_epoch.load() == epoch_) {
      committed.generation = target_.generation;
      if (oldest_change_ != kForever) committed.lag.add(now_ - oldest_change_);
      oldest_change_ = kForever;
    }
  }
  if (!mutated(Mutation::kWakeFirst)) status_.wake();
  device_.taps.rx_mode_changed();
}

// The next run that nobody else owes: at the first retry that comes due.
void RxRun::arm() {
  if (call_.retry().owed()) device_.lane.queue_at(retry, call_.retry().due());
  if (call_.one_result()) return;
  const Time due = filter_.due();
  if (due != kForever) device_.lane.queue_at(retry, due);
}

}  // namespace usernic
