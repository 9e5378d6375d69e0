// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver is told of promiscuity and allmulti, from its open to its stop. Kept on the lane.
#include "usernic/rx_flags.h"

#include "core/device.h"
#include "core/mutation.h"
#include "core/rx_mode_engine.h"

namespace usernic {

// The device is running by now: what changes from here on owes a run, which tells it.
void RxModeEngine::opening() {
  told_ = {.promisc = wanted.promiscuity.on.load(), .allmulti = wanted.allmulti.on.load()};
}

void RxModeEngine::stopped() {
  told_.reset();
}

RxFlags RxModeEngine::flags() const noexcept {
  if (in_driver_call()) return {.promisc = in_call_->promisc(), .allmulti = in_call_->allmulti()};
  if (dev_.lane_queue.is_current() && told_ && !mutated(Mutation::kFlagsOfNow)) return *told_;
  return {.promisc = wanted.promiscuity.on.load(), .allmulti = wanted.allmulti.on.load()};
}

// Without a unicast filter, whatever is in the list asks for promiscuity [kernel: uc_promisc].
RxFlags RxModeEngine::asked() const noexcept {
  const bool by_list = dev_.ops.unicast_filter != nullptr && caps_.unicast_slots == 0 && uc_.wanted() != 0;
  return {.promisc = target_.promisc || by_list, .allmulti = target_.allmulti};
}

// Is something to go off that the plan leaves on for now? Its retry brings it, or what it waits for.
bool RxModeEngine::leaves_wide() const noexcept {
  const RxLists call = lists_of_call(true);
  return (call.promisc() && !promisc_.target) || (call.allmulti() && !allmulti_.target);
}

// What goes on and what goes off are two calls, as they are for a card: a run that widens or adds narrows nothing.
void RxModeEngine::tell_flags() {
  if (dev_.ops.change_rx_flags == nullptr) return void(told_ = asked());
  const RxFlags wide = asked() | *told_;
  const bool widens = wide != *told_ || holds_back_narrowing();
  const RxFlags now = widens || leaves_wide() ? wide : asked();
  again_ = again_ || (widens && now != asked());
  const RxFlags changed = now ^ *told_;
  told_ = now;
  if (changed.any()) dev_.ops.change_rx_flags(dev_.driver_, changed);
}

bool RxMode::promisc() const noexcept {
  return static_cast<const RxModeEngine&>(*this).flags().promisc;
}
bool RxMode::allmulti() const noexcept {
  return static_cast<const RxModeEngine&>(*this).flags().allmulti;
}

}  // namespace usernic
