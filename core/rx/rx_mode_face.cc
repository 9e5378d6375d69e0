// SPDX-License-Identifier: Apache-2.0 OR MIT
// The face: each method goes to where it is done.
#include <iterator>

#include "core/rx/rx_mode_engine.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

RxModeEngine& engine_of(RxMode& mode) noexcept USERNIC_NONBLOCKING {
  return RxModeEngine::of(mode);
}
const RxModeEngine& engine_of(const RxMode& mode) noexcept USERNIC_NONBLOCKING {
  return RxModeEngine::of(mode);
}

}  // namespace

std::string_view filter_mode_name(FilterMode mode) noexcept {
  static constexpr std::string_view kNames[] = {"none", "exact", "hash", "allmulti", "promisc"};
  static_assert(std::size(kNames) == static_cast<size_t>(FilterMode::kPromisc) + 1);
  return kNames[static_cast<size_t>(mode)];
}

Result<> RxMode::set_promiscuity(int change) {
  return engine_of(*this).wanted.change_mode(&Wanted::promiscuity, change);
}
Result<> RxMode::set_allmulti(int change) {
  return engine_of(*this).wanted.change_mode(&Wanted::allmulti, change);
}
Result<> RxMode::set_vlan_filter(bool on) {
  if (!on && engine_of(*this).filter.caps().vlan_filter_fixed) return fail(std::errc::operation_not_supported);
  return engine_of(*this).wanted.set_vlan_filter(on);
}
Result<> RxMode::vlan_add(uint16_t id) {
  return engine_of(*this).wanted.change_vlan(id, true);
}
Result<> RxMode::vlan_del(uint16_t id) {
  return engine_of(*this).wanted.change_vlan(id, false);
}

bool RxMode::covered(const MacAddress& address) const {
  return engine_of(*this).status.covers(address);
}
RxTicket RxMode::ticket(const MacAddress& address) const {
  return engine_of(*this).status.ticket(address);
}
Result<> RxMode::wait(const RxTicket& ticket, Time deadline, Place where) const {
  return engine_of(*this).status.wait(ticket, deadline, where);
}
Result<> RxMode::settle(Time deadline, Place where) const {
  return engine_of(*this).status.settle(deadline, where);
}
RxModeStatus RxMode::status() const {
  return engine_of(*this).status.read();
}

void RxMode::card_forgot() noexcept {
  engine_of(*this).forget();
}
void RxMode::call_soon() noexcept {
  RxModeEngine& engine = engine_of(*this);
  engine.requests.call();
  engine.run.owed.owe();
}
void RxMode::retry_now() noexcept {
  RxModeEngine& engine = engine_of(*this);
  engine.requests.retry();
  engine.run.owed.owe();
}

bool RxMode::promisc() const noexcept {
  return engine_of(*this).flags().promisc;
}
bool RxMode::allmulti() const noexcept {
  return engine_of(*this).flags().allmulti;
}

void* internal::pending_rx_image(NetDevice& dev, const RxImageType& type, Place where) noexcept {
  return engine_of(dev.rx_mode()).pending_image(type, where);
}
void internal::rx_image_is_ready(NetDevice& dev) noexcept {
  engine_of(dev.rx_mode()).image_is_ready();
}

}  // namespace usernic
