// SPDX-License-Identifier: Apache-2.0 OR MIT
// The face: each method goes to where it is done.
#include <utility>

#include "core/rx_mode_engine.h"
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
  switch (mode) {
    case FilterMode::kNone:
      return "none";
    case FilterMode::kExact:
      return "exact";
    case FilterMode::kHash:
      return "hash";
    case FilterMode::kAllmulti:
      return "allmulti";
    case FilterMode::kPromisc:
      return "promisc";
  }
  return "unknown";
}

Result<> RxMode::set_promiscuity(int change) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&] {
    addr_list_lock.assert_held();
    return wanted.count(wanted.promiscuity, &ModeRefs::users, change);
  });
}

Result<> RxMode::set_allmulti(int change) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&] {
    addr_list_lock.assert_held();
    return wanted.count(wanted.allmulti, &ModeRefs::users, change);
  });
}

Result<> RxMode::switch_flags(RxFlags on) {
  Wanted& wanted = engine_of(*this).wanted;
  const auto turn = [&wanted](ModeRefs Wanted::*which, bool to) {
    return wanted.apply([&]() -> Result<> {
      addr_list_lock.assert_held();
      ModeRefs& mode = wanted.*which;
      if ((mode.by_switch != 0) == to) return {};
      return wanted.count(mode, &ModeRefs::by_switch, to ? 1 : -1);
    });
  };
  const Result<> promisc = turn(&Wanted::promiscuity, on.promisc);
  const Result<> allmulti = turn(&Wanted::allmulti, on.allmulti);
  return promisc ? allmulti : promisc;
}

RxFlags RxMode::switched() const {
  const Wanted& wanted = engine_of(*this).wanted;
  ListGuard guard(wanted.lock, wanted.level());
  return {.promisc = wanted.promiscuity.by_switch != 0, .allmulti = wanted.allmulti.by_switch != 0};
}

Result<> RxMode::set_vlan_filter(bool on) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&]() -> Result<> {
    addr_list_lock.assert_held();
    if (std::exchange(wanted.vlan_filter, on) != on) wanted.next_generation();
    return {};
  });
}

namespace {

Result<> change_vlan(Wanted& wanted, uint16_t id, bool add) {
  if (id >= kVlanIds) return fail(std::errc::invalid_argument);
  return wanted.apply([&]() -> Result<> {
    addr_list_lock.assert_held();
    const uint32_t refs = wanted.vlan_refs[id];
    if (add && refs > UINT32_MAX - VlanRefs::kUser) return fail(std::errc::value_too_large);
    if (!add && refs < VlanRefs::kUser) return fail(std::errc::no_such_file_or_directory);
    wanted.set_vlan_refs(id, add ? refs + VlanRefs::kUser : refs - VlanRefs::kUser);
    return {};
  });
}

}  // namespace

Result<> RxMode::vlan_add(uint16_t id) {
  return change_vlan(engine_of(*this).wanted, id, true);
}
Result<> RxMode::vlan_del(uint16_t id) {
  return change_vlan(engine_of(*this).wanted, id, false);
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
void RxMode::schedule_retry() noexcept {
  engine_of(*this).schedule_retry();
}
void RxMode::cancel_retry() noexcept {
  engine_of(*this).requests.cancel();
}

void RxMode::lock_lists(Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  const Wanted& wanted = engine_of(*this).wanted;
  wanted.lock.lock(wanted.level(), where);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // what was put off until now
    void
    RxMode::unlock_lists() noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  Wanted& wanted = engine_of(*this).wanted;
  PutOffSyncs syncs = std::exchange(wanted.put_off_syncs, {});
  wanted.lock.unlock();
  if (kChecksOn) internal::leave_context();
  if (!syncs.empty()) syncs.carry_out();
}
USERNIC_BLOCKING_BY_DESIGN_END

RxLists RxMode::lists(Place where) const noexcept {
  const RxModeEngine& engine = static_cast<const RxModeEngine&>(*this);
  engine.wanted.lock.assert_held(where);
  addr_list_lock.assert_held();
  return engine.view.lists();
}

HwAddrList& RxMode::hw_list(AddressClass address_class, Place where) {
  return engine_of(*this).hw_list(address_class, where);
}
bool RxMode::promisc() const noexcept {
  return engine_of(*this).flags().promisc;
}
bool RxMode::allmulti() const noexcept {
  return engine_of(*this).flags().allmulti;
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report prints; the process is on its way down or under test
    void*
    internal::pending_rx_image(NetDevice& dev, const RxImageType& type, Place where) noexcept {
  RxModeEngine& engine = engine_of(dev.rx_mode());
  if (!engine.wanted.lock.held_by_me()) {
    report_contract(dev, "rx-image-unlocked", "the pending rx-mode image is changed without addr_list_lock", where);
    return nullptr;
  }
  RxImagePair* const image = engine.call->image();
  if (image != nullptr && &image->type == &type) return image->pending();
  report_contract(
      dev, "rx-image-type",
      image != nullptr ? "the device's rx-mode image is of another type" : "the device has no rx-mode image", where);
  return nullptr;
}

USERNIC_BLOCKING_BY_DESIGN_END

void internal::rx_image_is_ready(NetDevice& dev) noexcept {
  RxModeEngine& engine = engine_of(dev.rx_mode());
  engine.call->image()->ready = true;
  engine.run.owed.owe();
}

}  // namespace usernic
