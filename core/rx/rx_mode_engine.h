// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a device's rx mode, put together, and its place in the device's life. RxMode is its face.
//
//   wanted --> run: sample, decide (filter), call (one driver style), commit, publish --> status
#pragma once

#include <memory>

#include "core/filter/card_filter.h"
#include "core/list/wanted.h"
#include "core/rx/call_requests.h"
#include "core/rx/call_view.h"
#include "core/rx/kernel_lists.h"
#include "core/rx/rx_call.h"
#include "core/rx/rx_device.h"
#include "core/rx/rx_run.h"
#include "core/rx/rx_status.h"
#include "core/rx/told_flags.h"
#include "usernic/rx_mode.h"

namespace usernic {

class RxModeEngine final : public RxMode {
 public:
  RxModeEngine(const RxDevice& device, Duration retry_first);

  static RxModeEngine& of(RxMode& mode) noexcept USERNIC_NONBLOCKING { return static_cast<RxModeEngine&>(mode); }
  static const RxModeEngine& of(const RxMode& mode) noexcept USERNIC_NONBLOCKING {
    return static_cast<const RxModeEngine&>(mode);
  }

  // From the device's life. Requires: rtnl, IL, the lane parked (configure: before registration is visible).
  void configure(const RxFilterCaps& told_caps);
  void opening() { told.begin(wanted.flags()); }  // the device runs by now: what changes from here on owes a run
  void opened() { run.opened(); }
  void closed();
  void stopped() { told.end(); }  // its stop has returned, or its open has failed
  void own_changed(const MacAddress& address, Uppers& uppers);
  // No more changes from here on; sleeps until no run is left. Requires: the lane not parked by this thread.
  void shut_down();
  // The card lost its filter. Context: any.
  void forget() noexcept USERNIC_NONBLOCKING;

  // The lists of the kernel's signature. Requires: in this device's rx-mode call, or nobody else can be.
  HwAddrList& hw_list(AddressClass address_class, Place where);
  RxFlags flags() const noexcept USERNIC_NONBLOCKING;
  // Requires: addr_list_lock; else a report, and no image.
  RxLists shown(Place where) const noexcept USERNIC_NONBLOCKING;
  void* pending_image(const RxImageType& type, Place where) noexcept USERNIC_NONBLOCKING;
  void image_is_ready() noexcept USERNIC_NONBLOCKING;
  void schedule_retry() noexcept USERNIC_NONBLOCKING;

  const RxDevice device;
  const Duration retry_first;
  Wanted wanted;
  CardFilter filter;
  CallView view;
  CallRequests requests;
  KernelLists lists;
  ToldFlags told;
  const std::unique_ptr<RxCall> call;
  RxStatus status;
  RxRun run;
};

}  // namespace usernic
