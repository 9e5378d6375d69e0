// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/rx_mode_engine.h"

#include <new>

#include "core/lock/mutation.h"
#include "core/rx/call_image.h"
#include "core/rx/call_kernel.h"
#include "core/rx/call_legacy.h"
#include "core/rx/call_plan.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

// The style of the driver's table.
std::unique_ptr<RxCall> make_call(const RxCall::Bed& bed) {
  const NetDeviceOps& ops = bed.device.ops;
  if (ops.rx_image != nullptr) return std::make_unique<CallImage>(bed);
  if (ops.set_rx_mode != nullptr) return std::make_unique<CallLegacy>(bed);
  if (ops.set_rx_mode_kernel != nullptr) return std::make_unique<CallKernel>(bed);
  return std::make_unique<CallPlan>(bed);
}

}  // namespace

RxModeEngine::RxModeEngine(const RxDevice& of, Duration first)
    : device(of),
      retry_first(first),
      wanted(of.dev, of.stacks, of.lane, run.owed, random_u64()),
      filter(wanted.uc, wanted.mc),
      view(wanted, run.work, run.retry),
      call(make_call({device, wanted, filter, view, requests, lists, first})),
      status(wanted, filter, of.lane),
      run({device, wanted, filter, view, requests, lists, first}, *call, status, told) {}

void RxModeEngine::configure(const RxFilterCaps& told_caps) {
  const RxFilterCaps caps = call->caps(told_caps);
  filter.configure(caps, device.ops.rx_hash, device.driver, retry_first);
  if (!wanted.reserve({})) throw std::bad_alloc();
  ListGuard guard(wanted.lock, wanted.level());
  if (caps.own_address_uses_slot) wanted.uc.set_own(wanted.own, true);
  if (caps.vlan_filter_fixed) wanted.vlan_filter = true;
}

void RxModeEngine::own_changed(const MacAddress& address, Uppers& uppers) {
  wanted.set_own(address, filter.caps().own_address_uses_slot, uppers);
}

void RxModeEngine::closed() {
  {
    ListGuard guard(wanted.lock, wanted.level());
    status.committed().up = false;
    status.committed().generation = 0;
  }
  run.empty(true);
  status.wake();
  device.taps.rx_mode_changed();
}

void RxModeEngine::shut_down() {
  {
    ListGuard guard(wanted.lock, wanted.level());
    if (wanted.gone) return;
    wanted.gone = true;
  }
  status.wake();
  run.work.disable_sync();
  run.retry.disable_sync();
  wanted.stop_serving();
}

void RxModeEngine::forget() noexcept {
  status.card_epoch.fetch_add(1);
  run.owed.owe();
}

HwAddrList& RxModeEngine::hw_list(AddressClass address_class, Place where) {
  HwAddrList& list = lists.list(address_class);
  if (view.now() != nullptr) return list;
  const bool kept = device.ops.set_rx_mode != nullptr || device.ops.set_rx_mode_kernel != nullptr;
  if (kept && device.running.load()) {
    if (!device.lane.is_current() && !device.instance_lock.held_by_me()) {
      report_contract(device.dev, "hw-list-unlocked",
                      "the list that a running driver pushes from is taken outside its own calls", where);
    }
    return list;
  }
  std::vector<std::pair<MacAddress, int>> now;
  wanted.table(address_class).read([&now](const EntryView& entry) {
    if (entry.references != 0) now.emplace_back(entry.address, static_cast<int>(entry.references));
  });
  lists.match(address_class, now);
  return list;
}

RxFlags RxModeEngine::flags() const noexcept {
  if (const RxLists* const call_lists = view.now(); call_lists != nullptr)
    return {.promisc = call_lists->promisc(), .allmulti = call_lists->allmulti()};
  if (device.lane.is_current() && told.now() && !mutated(Mutation::kFlagsOfNow)) return *told.now();
  return wanted.flags();
}

RxLists RxModeEngine::shown(Place where) const noexcept {
  wanted.lock.assert_held(where);
  addr_list_lock.assert_held();
  return view.lists();
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report prints; the process is on its way down or under test
    void*
    RxModeEngine::pending_image(const RxImageType& type, Place where) noexcept {
  if (!wanted.lock.held_by_me()) {
    report_contract(device.dev, "rx-image-unlocked", "the pending rx-mode image is changed without addr_list_lock",
                    where);
    return nullptr;
  }
  RxImagePair* const image = call->image();
  if (image != nullptr && &image->type == &type) return image->pending();
  report_contract(
      device.dev, "rx-image-type",
      image != nullptr ? "the device's rx-mode image is of another type" : "the device has no rx-mode image", where);
  return nullptr;
}
USERNIC_BLOCKING_BY_DESIGN_END

void RxModeEngine::image_is_ready() noexcept {
  call->image()->ready = true;
  run.owed.owe();
}

void RxModeEngine::schedule_retry() noexcept {
  device.lane.queue_at(run.retry, requests.schedule(retry_first, Clock::now()));
}

}  // namespace usernic
