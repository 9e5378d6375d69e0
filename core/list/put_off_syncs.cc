// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/put_off_syncs.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "core/list/wanted.h"
#include "usernic/contract_report.h"
#include "usernic/net_device.h"

namespace usernic {

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a few words of memory; what sync allocates is a slab [kernel: GFP_ATOMIC]

    Result<>
    PutOffSyncs::add(WantedList& to, WantedList& from, Place where) noexcept {
  const BlockingByDesign bounded;
  const auto same = [&](const One& one) { return one.to == &to && one.from == &from; };
  if (std::ranges::any_of(all_, same)) return {};
  try {
    all_.push_back({DeviceHandle(to.wanted().dev), &to, &from, where});
    return {};
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

void PutOffSyncs::carry_out() noexcept {
  const BlockingByDesign bounded;
  const std::vector<One> all = std::move(all_);  // its memory goes in here as well
  for (const One& one : all) {
    const Result<> result = sync(*one.to, *one.from);
    if (result || result.error() == std::errc::no_such_device) continue;
    const ReportsOn concerned(one.from->wanted().dev);
    report_contract("sync-refused",
                    fmt::format("{} cannot be synced from {}: {}", one.to->wanted().dev.name(),
                                one.from->wanted().dev.name(), errno_name(result.error())),
                    one.where);
  }
}

USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
