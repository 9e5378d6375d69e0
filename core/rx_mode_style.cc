// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver call of a run in the styles other than the plan.
//
// They know no commands. The run plans as for a card with room for everything, makes the one call, and answers every
// command of the plan by what that call says: so retries, tickets, parking and epochs are the engine's, in every style.
#include <algorithm>
#include <limits>

#include "core/atomic_callback.h"
#include "core/current_work.h"
#include "core/device.h"
#include "core/mutation.h"
#include "core/rx_mode_engine.h"

namespace usernic {
namespace {

RxModeEngine& engine_of(RxMode& mode) noexcept USERNIC_NONBLOCKING {
  return static_cast<RxModeEngine&>(mode);
}

bool is_narrow(const RxCommand& command) {
  return command.kind == RxCommandKind::kNarrow;
}

bool adds_address(const RxCommand& command) {
  return command.kind == RxCommandKind::kAdd && command.entry != nullptr;
}

}  // namespace

// Capacity is the driver's own business: it says "no space" when it has none.
RxFilterCaps RxModeEngine::caps_of_style(const RxFilterCaps& caps) const noexcept {
  const bool whole = dev_.ops.rx_image != nullptr;
  if (!whole && dev_.ops.set_rx_mode == nullptr && dev_.ops.set_rx_mode_kernel == nullptr) return caps;
  constexpr uint32_t kUnlimited = std::numeric_limits<uint32_t>::max();
  // Without a unicast filter no unicast address finds a slot, so that promisc carries it [kernel: IFF_UNICAST_FLT].
  const bool unicast = dev_.ops.unicast_filter == nullptr || dev_.ops.unicast_filter(dev_.driver_);
  return {.unicast_slots = unicast ? kUnlimited : 0,
          .multicast_slots = kUnlimited,
          .own_address_uses_slot = whole && unicast,  // in the image; elsewhere set_mac_address has the register
          .vlan_slots = dev_.ops.set_rx_mode_kernel == nullptr ? kVlanIds : 0u};  // which is handed none
}

// What waits for its time. A call that fails as a whole has one time, and then everything is tried.
void RxModeEngine::wake_for_retry() {
  const bool now = retry_asked_.exchange(false);
  if (now) call_due_ = {};
  if (now && retry_at_.load() != kForever) retry_at_.store(now_);
  const bool all = now || (whole_call() && call_due_ <= now_);
  for (CardClass* each : {&uc_, &mc_}) each->wake_parked(all ? kForever : now_);
  if (!all) return;
  for (Flag* flag : {&promisc_, &allmulti_, &vlan_unfiltered_}) flag->due = {};
  for (CardClass* each : {&uc_, &mc_}) each->hash.due = {};
  vlan_due_ = {};
}

void RxModeEngine::ask_call() noexcept {
  call_asked_.store(true);
  owe_run();
}

void RxModeEngine::retry_now() noexcept {
  retry_asked_.store(true);
  owe_run();
}

bool RxModeEngine::owes_call() noexcept {
  const bool plans = dev_.ops.set_rx_mode_async != nullptr;
  const bool styled = image_ != nullptr || dev_.ops.set_rx_mode != nullptr || dev_.ops.set_rx_mode_kernel != nullptr;
  if (plans || !styled) return !commands_.empty();
  const bool due = call_due_ <= now_;
  if (!due && whole_call()) return false;
  const bool retry = retry_at_.load() <= now_;
  if (retry) retry_at_.store(kForever);
  asked_now_ = call_asked_.exchange(false) || retry || (due && call_attempts_ != 0);
  if (!commands_.empty() || asked_now_) return true;
  if (image_ == nullptr) return false;
  SpinGuardBh guard(wanted.lock, wanted.level());
  return image_->ready;
}

// One image can order nothing, nor can who is told of flags: while the plan adds, sets or widens, what it would narrow
// stays on, and goes with the next.
bool RxModeEngine::holds_back_narrowing() const noexcept {
  if (mutated(Mutation::kNarrowAtOnce)) return false;
  const auto widens = [](const RxCommand& command) {
    return command.kind == RxCommandKind::kAdd || command.kind == RxCommandKind::kSetBucket ||
           command.kind == RxCommandKind::kWiden;
  };
  return std::any_of(commands_.begin(), commands_.end(), widens);
}

// `narrow`: the flags that the plan narrows are off in it.
RxLists RxModeEngine::lists_of_call(bool narrow) const noexcept {
  const auto is_on = [&](const Flag& flag, RxObject object) {
    if (flag.target || !flag.maybe) return flag.target && (flag.maybe || !flag.refused);  // R13: not asked again
    const auto narrows = [object](const RxCommand& command) { return is_narrow(command) && command.object == object; };
    return !narrow || std::none_of(commands_.begin(), commands_.end(), narrows);
  };
  RxLists lists;
  lists.tables_[0] = &uc_.table;
  lists.tables_[1] = &mc_.table;
  lists.vlans_ = &shown_vlans_;
  lists.own_ = target_.own;
  lists.as_drained_ = true;
  lists.promisc_ = is_on(promisc_, RxObject::kPromisc);
  lists.allmulti_ = is_on(allmulti_, RxObject::kAllmulti);
  lists.vlan_filter_ = !is_on(vlan_unfiltered_, RxObject::kVlanUnfiltered);
  return lists;
}

bool RxModeEngine::in_driver_call() const noexcept {
  const Work* const current = current_work();
  return (current == &work_ || current == &retry_) && in_call_.has_value();
}

RxLists RxModeEngine::lists() const noexcept {
  if (in_driver_call()) return *in_call_;
  RxLists lists;
  lists.tables_[0] = &wanted.uc;
  lists.tables_[1] = &wanted.mc;
  lists.vlans_ = &wanted.vlans;
  lists.own_ = wanted.own;
  lists.promisc_ = wanted.promiscuity.total() != 0;
  lists.allmulti_ = wanted.allmulti.total() != 0;
  lists.vlan_filter_ = wanted.vlan_filter;
  return lists;
}

HwAddrList& RxModeEngine::hw_list(AddressClass address_class, Place where) {
  HwAddrList& list = kernel_lists_.list(address_class);
  const bool kept = dev_.ops.set_rx_mode != nullptr || dev_.ops.set_rx_mode_kernel != nullptr;
  if (in_driver_call()) return list;
  if (kept && dev_.running_.load()) {
    if (!dev_.lane_queue.is_current() && !dev_.instance_lock.held_by_me()) {
      report_contract(dev_, "hw-list-unlocked",
                      "the list that a running driver pushes from is taken outside its own calls", where);
    }
    return list;
  }
  std::vector<std::pair<MacAddress, int>> now;
  wanted.table(address_class).read([&now](const EntryView& view) {
    if (view.references != 0) now.emplace_back(view.address, static_cast<int>(view.references));
  });
  kernel_lists_.match(address_class, now);
  return list;
}

void RxModeEngine::schedule_retry() noexcept {
  const uint32_t attempts = retries_scheduled_.fetch_add(1) + 1;
  const Time due = Clock::now() + retry_delay(retry_first_, attempts);
  retry_scheduled_.store(true);
  retry_at_.store(due);
  dev_.lane_queue.queue_at(retry_, due);
}

void RxModeEngine::cancel_retry() noexcept {
  retries_scheduled_.store(0);
  retry_at_.store(kForever);
}

// Prepare under the lock, swap under the lock, write without it.
void RxModeEngine::call_image(RxPlan& plan) {
  const bool narrow = !holds_back_narrowing();
  Result<> prepared;
  const bool ready = prepare_image(narrow, prepared);
  if (plan.stop().stop_requested()) {  // the image stays ready, and may be written before these commands come again
    for (RxCommand& command : commands_) {
      if (narrow || !is_narrow(command)) plan.answer(command, fail(std::errc::operation_canceled));
    }
    again_ = true;
    if (asked_now_) call_asked_.store(true);
    return;
  }
  Result<> written = prepared;
  if (ready) {
    {
      SpinGuardBh guard(wanted.lock, wanted.level());
      (void)image_->take_ready();
    }
    written = dev_.ops.write_rx_mode(dev_.driver_, image_->writing());
    if (!written) {
      SpinGuardBh guard(wanted.lock, wanted.level());
      image_->ready = true;  // pending is this image, or a newer one
    }
  }
  answer_image(plan, narrow, prepared, written);
}

// Returns true when there is something to write: the new image, or an earlier one that was not.
bool RxModeEngine::prepare_image(bool narrow, Result<>& prepared) {
  in_call_ = lists_of_call(narrow);
  bool ready = false;
  PutOffSyncs syncs;
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    if (commands_.empty()) ++committed_.driver_calls;
    if (!commands_.empty() || asked_now_) {
      const bool wide = in_call_->promisc() || in_call_->allmulti();
      prepared = image_->prepare(target_.generation, wide, [this](void* image) noexcept USERNIC_NONBLOCKING {
        const AtomicCallback prepare_rx_mode(dev_, "prepare_rx_mode");
        return dev_.ops.prepare_rx_mode(dev_.driver_, *in_call_, image);
      });
    }
    ready = image_->ready;
    syncs = std::exchange(put_off_syncs, {});
  }
  in_call_.reset();
  syncs.carry_out();
  return ready;
}

// An image of this run carries out every command. An earlier one, written because prepare failed, carries out what it
// is new enough for.
void RxModeEngine::answer_image(RxPlan& plan, bool narrow, Result<> prepared, Result<> written) {
  const bool adds = std::any_of(commands_.begin(), commands_.end(), adds_address);
  if (!prepared && image_->writing_wide()) {  // what an earlier image had on is on, perhaps
    SpinGuardBh guard(wanted.lock, wanted.level());
    promisc_.maybe = allmulti_.maybe = true;
  }
  if (keep_wide(prepared ? written : prepared)) return call_failed(false);
  const bool stopped = !written && plan.stop().stop_requested() && written.error() == std::errc::operation_canceled;
  bool refused = false;
  for (RxCommand& command : commands_) {
    if (is_narrow(command) && !narrow) {
      again_ = again_ || written.has_value();
      continue;
    }
    bool in_image = prepared.has_value();
    if (!in_image && command.entry != nullptr) {
      SpinGuardBh guard(wanted.lock, wanted.level());
      in_image = image_->writing_has(static_cast<AddressEntry*>(command.entry)->generation);
    }
    const Result<> result = in_image ? written : prepared;
    // Of a plan that is refused, the addresses are what found no room; the rest comes again without them.
    const bool refusal = !result && is_refusal(result.error());
    if (refusal && adds && !adds_address(command)) continue;
    refused = refused || (refusal && (adds_address(command) || command.kind == RxCommandKind::kWiden));
    plan.answer(command, result);
  }
  again_ = again_ || stopped;
  if (refused && adds) refused_with_ = uc_.wanted() + mc_.wanted();
  call_failed((!prepared || !written) && !refused && !stopped);
}

// A driver need not look at the addresses while promiscuous: that they have no room shows only when it is to end. Then
// it goes on, until there are fewer.
bool RxModeEngine::keep_wide(Result<> result) noexcept {
  if (result || !is_refusal(result.error()) || holds_back_narrowing()) return false;
  bool kept = false;
  for (const RxCommand& command : commands_) {
    if (!is_narrow(command) || command.object == RxObject::kVlanUnfiltered) continue;
    (command.object == RxObject::kPromisc ? stays_promisc_ : stays_allmulti_) = kept = true;
  }
  if (!kept) return false;
  refused_with_ = uc_.wanted() + mc_.wanted();
  return again_ = true;
}

// What a refusal taught of the slots says nothing when the whole image is refused; the number of addresses does (R13).
void RxModeEngine::ask_refused_image_again() noexcept {
  if (refused_with_ == 0 || uc_.wanted() + mc_.wanted() > refused_with_ / 4 * 3 + refused_with_ % 4 * 3 / 4) return;
  refused_with_ = 0;
  stays_promisc_ = stays_allmulti_ = false;
  for (SlotTable& table : tables_) table.limit = table.slots;
}

void RxModeEngine::call_failed(bool failed) noexcept {
  call_attempts_ = failed ? call_attempts_ + 1 : 0;
  call_due_ = failed ? Clock::now() + retry_delay(retry_first_, call_attempts_) : Time{};
}

void RxModeEngine::call_legacy(RxPlan& plan) {
  const bool narrow = !holds_back_narrowing();
  kernel_lists_.bring_up_to_date(commands_);
  in_call_ = lists_of_call(narrow);
  PutOffSyncs syncs;
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    if (commands_.empty()) ++committed_.driver_calls;
    {
      const AtomicCallback set_rx_mode(dev_, "set_rx_mode");
      dev_.ops.set_rx_mode(dev_.driver_, *in_call_);
    }
    syncs = std::exchange(put_off_syncs, {});
  }
  in_call_.reset();
  syncs.carry_out();
  answer_kernel(plan, narrow, 0);  // it cannot fail
}

void RxModeEngine::call_kernel(RxPlan& plan) {
  const bool narrow = !holds_back_narrowing();
  kernel_lists_.bring_up_to_date(commands_);
  in_call_ = lists_of_call(narrow);
  if (commands_.empty()) {
    SpinGuardBh guard(wanted.lock, wanted.level());
    ++committed_.driver_calls;
  }
  const int error = dev_.ops.set_rx_mode_kernel(dev_.driver_, &dev_, &kernel_lists_.list(AddressClass::kUnicast),
                                                &kernel_lists_.list(AddressClass::kMulticast));
  in_call_.reset();
  answer_kernel(plan, narrow, error);
}

void RxModeEngine::answer_kernel(RxPlan& plan, bool narrow, int error) {
  bool wide = !narrow;  // what is to be narrowed stays on
  const auto answer = [&](RxCommand& command, const Result<>& result) {
    if (!wide || !is_narrow(command)) plan.answer(command, result);
  };
  const auto lost = [&](AddressClass address_class, const MacAddress& address, int why) {
    program_anew(address_class, address);
    const std::errc reason = static_cast<std::errc>(-why);
    if (!wide && is_refusal(reason)) wide = keep_wide(fail(reason));
  };
  kernel_lists_.answer(commands_, error, answer, lost);
  const auto in_state = [this](RxCommand::State state) {
    return std::any_of(commands_.begin(), commands_.end(), [state](const auto& each) { return each.state == state; });
  };
  // A call that ended at an address' error was shown the flags all the same.
  for (const RxCommand& command : commands_) {
    if (command.kind != RxCommandKind::kWiden || command.state != RxCommand::State::kUntold) continue;
    SpinGuardBh guard(wanted.lock, wanted.level());
    flag_of(command.object).maybe = true;
  }
  again_ = again_ || in_state(RxCommand::State::kUntold);
  call_failed(error != 0 && !in_state(RxCommand::State::kFailed));  // otherwise that command's retry brings it
  if (!narrow || !wide) return;
  SpinGuardBh guard(wanted.lock, wanted.level());  // the driver switched them off, and is to switch them on again
  if (stays_promisc_) promisc_.sure = false;
  if (stays_allmulti_) allmulti_.sure = false;
}

// The driver had not pushed it, for it saw no need, and now cannot.
void RxModeEngine::program_anew(AddressClass address_class, const MacAddress& address) {
  CardClass& each = address_class == AddressClass::kMulticast ? mc_ : uc_;
  SpinGuardBh guard(wanted.lock, wanted.level());
  AddressEntry* const entry = each.table.find(address);
  if (entry == nullptr || entry->state != CardState::kExact) return;
  entry->sure = false;
  each.set_maybe(*entry, false);
  each.move(*entry, CardState::kTrying);
  again_ = true;
}

void RxMode::lock_lists(Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  const Wanted& wanted = engine_of(*this).wanted;
  wanted.lock.lock(wanted.level(), where);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // what was put off until now
    void
    RxMode::unlock_lists() noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  RxModeEngine& engine = engine_of(*this);
  PutOffSyncs syncs = std::exchange(engine.put_off_syncs, {});
  engine.wanted.lock.unlock();
  if (kChecksOn) internal::leave_context();
  if (!syncs.empty()) syncs.carry_out();
}
USERNIC_BLOCKING_BY_DESIGN_END

RxLists RxMode::lists(Place where) const noexcept {
  const RxModeEngine& engine = static_cast<const RxModeEngine&>(*this);
  engine.wanted.lock.assert_held(where);
  return engine.lists();
}

HwAddrList& RxMode::hw_list(AddressClass address_class, Place where) {
  return engine_of(*this).hw_list(address_class, where);
}
void RxMode::schedule_retry() noexcept {
  engine_of(*this).schedule_retry();
}
void RxMode::cancel_retry() noexcept {
  engine_of(*this).cancel_retry();
}

void RxMode::call_soon() noexcept {
  engine_of(*this).ask_call();
}
void RxMode::retry_now() noexcept {
  engine_of(*this).retry_now();
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report prints; the process is on its way down or under test
    void*
    internal::pending_rx_image(NetDevice& dev, const RxImageType& type, Place where) noexcept {
  RxModeEngine& engine = engine_of(dev.rx_mode());
  if (!engine.wanted.lock.held_by_me()) {
    report_contract(dev, "rx-image-unlocked", "the pending rx-mode image is changed without addr_list_lock", where);
    return nullptr;
  }
  RxImagePair* const image = engine.image();
  if (image != nullptr && &image->type == &type) return image->pending();
  report_contract(
      dev, "rx-image-type",
      image != nullptr ? "the device's rx-mode image is of another type" : "the device has no rx-mode image", where);
  return nullptr;
}

USERNIC_BLOCKING_BY_DESIGN_END

void internal::rx_image_is_ready(NetDevice& dev) noexcept {
  RxModeEngine& engine = engine_of(dev.rx_mode());
  engine.image()->ready = true;
  engine.owe_run();
}

}  // namespace usernic
