// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/card.h"

#include <fmt/format.h>

#include "core/lock/mutation.h"
#include "sim/scheduler.h"
#include "usernic/rx_mode.h"

namespace usernic::sim {

Card::Card(const RxFilterCaps& the_caps, const CardTemper& the_temper, Chance chance)
    : caps(the_caps), temper(the_temper), taste_(chance.next()), chance_(chance) {}

bool Card::never_takes(const MacAddress& address) const noexcept {
  return temper.unsupported_one_in != 0 && Chance(taste_ ^ address.to_u64()).one_in(temper.unsupported_one_in);
}

void Card::clear() {
  static_cast<HeldFilter&>(*this) = {};
  ++version;
  ++cleared;
}

void Card::lose(NetDevice& dev) {
  ++losses;
  clear();
  note([] { return "the card loses its filter"; });
  for (uint64_t i = chance_.below(8); i > 0; --i) point("reset");
  dev.rx_mode().card_forgot();
  note([] { return "the core was told"; });
  --losses;
}

void Card::resume(NetDevice& dev) {
  ++losses;
  clear();
  (void)dev.attach();
  dev.rx_mode().card_forgot();
  --losses;
}

Result<> Card::execute(const RxCommand& command) {
  point("bus");
  bool applied = true;
  Result<> result = fate(command, applied);
  if (applied) {
    const Result<> done = apply(command, caps, temper.slots_missing);
    if (result) result = done;
    ++version;
  }
  note([&] {
    const char* const after = result ? "ok" : applied ? "done, but fails" : "fails";
    return fmt::format("card: {}: {}", describe(command), after);
  });
  point("bus");
  return result;
}

Result<> Card::fate(const RxCommand& command, bool& applied) {
  applied = false;
  if (losses != 0 && !mutated(Mutation::kR8)) return fail(std::errc::io_error);
  const bool adds = command.kind == RxCommandKind::kAdd || command.kind == RxCommandKind::kSetBucket ||
                    (command.kind == RxCommandKind::kWiden && command.object == RxObject::kAllmulti);
  if (command.kind == RxCommandKind::kAdd && command.object != RxObject::kVlan && never_takes(command.address)) {
    return fail(std::errc::operation_not_supported);
  }
  if (failing && adds && temper.refusal_one_in != 0 && chance_.one_in(temper.refusal_one_in)) {
    return fail(chance_.one_in(2) ? std::errc::operation_not_supported : std::errc::no_space_on_device);
  }
  if (failing && temper.transient_one_in != 0 && chance_.one_in(temper.transient_one_in)) {
    applied = chance_.one_in(2);
    return fail(std::errc::io_error);
  }
  applied = true;
  return {};
}

bool Card::fails(bool& applied) {
  applied = losses == 0;
  if (losses != 0) return true;
  const bool failed = failing && temper.transient_one_in != 0 && chance_.one_in(temper.transient_one_in);
  if (failed) applied = chance_.one_in(2);
  return failed;
}

CardOps::~CardOps() {
  expect(!card_.in_call, "call-after-free", "the driver is freed while it is called");
  card_.unregistered = true;
}

void CardOps::check_callable(const char* op) const {
  const NoSwitch quiet;
  if (card_.unregistered) found("callback-after-unregister", fmt::format("{} is called", op));
}

Result<> CardOps::open() {
  check_callable("open");
  point("open");
  card_.clear();
  card_.up = true;
  dev_.tx_queue(0).start();
  return {};
}

void CardOps::stop() {
  check_callable("stop");
  point("stop");
  expect(!card_.in_call, "call-while-stopping", "stop is called during a driver call");
  card_.clear();
  card_.up = false;
}

NetdevTx CardOps::start_xmit(Skb& skb, TxQueue&, bool) noexcept {
  SkbPool::free(skb);
  return NetdevTx::kOk;
}

void CardOps::check_usable() const {
  const NoSwitch quiet;
  const bool usable = card_.up && dev_.running() && dev_.present() && dev_.reg_state() == RegState::kRegistered;
  expect(usable, "call-on-dead-device", "a driver call on a device that is down, absent or unregistered");
}

bool CardOps::take_time(StopToken stop) const {
  if (card_.temper.latency <= Duration::zero()) return false;
  return (card_.temper.deaf_to_stop ? StopToken() : stop).wait_until(Clock::now() + card_.temper.latency);
}

CardCall::CardCall(CardOps& ops, const char* op) : card_(ops.card_) {
  ops.check_callable(op);
  ops.check_usable();
  expect(!card_.in_call, "newest-wins", "two driver calls at once");
  card_.in_call = true;
  ++card_.calls;
}

void CardDriver::set_rx_mode_async(RxPlan& plan) {
  might_sleep();
  const CardCall call(*this, "set_rx_mode_async");
  const bool stopped = take_time(plan.stop());
  while (RxCommand* command = plan.next()) {
    check_usable();
    plan.answer(*command, stopped ? fail(std::errc::operation_canceled) : card_.execute(*command));
  }
}

Result<> CardOps::set_mac_address(const MacAddress& address) {
  check_callable("set_mac_address");
  point("bus");
  card_.own = address;
  return {};
}

std::string describe(const RxCommand& command) {
  static constexpr const char* kKinds[] = {"widen", "add", "set_bucket", "del", "clear_bucket", "narrow"};
  static constexpr const char* kObjects[] = {"unicast", "multicast", "vlan", "promisc", "allmulti", "vlan_unfiltered"};
  return fmt::format("{} {} {} bucket {} vlan {}", kKinds[static_cast<int>(command.kind)],
                     kObjects[static_cast<int>(command.object)], command.address.to_string(), command.bucket,
                     command.vlan);
}

}  // namespace usernic::sim
