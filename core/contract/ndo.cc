// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/contract/ndo.h"

#include <fmt/format.h>

#include <exception>

#include "core/lock/held_locks.h"
#include "core/lock/lock_classes.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

// Of what the row promises, what is missing: "rtnl, instance_lock".
std::string missing_locks(const NdoDevice& dev, const NdoRow& row, const SpinLock* spin) {
  std::string missing;
  const HeldLocks& held = HeldLocks::mine();
  const auto expect = [&](uint8_t lock, bool is_held, const char* name) {
    if ((row.locks & lock) == 0 || is_held) return;
    missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  const bool rtnl = held.holds(&dev.rtnl);
  expect(ndo_locks::kLane, dev.lane.is_current(), kLaneClass.name);
  expect(ndo_locks::kRtnl, rtnl, kRtnlClass.name);
  expect(ndo_locks::kRtnlIfRequired, rtnl || !dev.ops.requires_rtnl, kRtnlClass.name);
  expect(ndo_locks::kInstance, held.holds(&dev.instance_lock), kInstanceClass.name);
  const bool spins = spin != nullptr && held.holds(spin);
  expect(ndo_locks::kAddrList, spins, kAddrListClass.name);
  expect(ndo_locks::kXmit, spins || dev.ops.lltx, kXmitClass.name);
  expect(ndo_locks::kTxFreeze, spins, "tx_freeze_lock");
  return missing;
}

}  // namespace

// A report allocates; the process is on its way down or under test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN

void NdoScope::enter(const SpinLock* spin, Place where) noexcept {
  where_ = where;
  HeldLocks& held = HeldLocks::mine();
  outer_op_ = held.set_op(row_.op.data());
  {
    const BlockingByDesign allowed;
    const std::string missing = missing_locks(dev_, row_, spin);
    if (!missing.empty()) {
      report_contract("ndo-locks", fmt::format("{} of '{}' is called without {}", row_.op, dev_.dev.name(), missing),
                      where);
    }
  }
  if (row_.context == NdoContext::kProcess) (void)held.check_may_sleep(where);
  if (row_.context == NdoContext::kBhDisabled) held.enter_callback(row_.op.data(), Context::kBhDisabled, where);
  if (row_.context == NdoContext::kIrqsOff) held.enter_callback(row_.op.data(), Context::kHardIrq, where);
  depth_ = held.depth();
}

void NdoScope::leave() noexcept {
  HeldLocks& held = HeldLocks::mine();
  if (held.depth() != depth_) {
    const BlockingByDesign allowed;
    report_contract("ndo-unbalanced",
                    fmt::format("{} of '{}' returned {}", row_.op, dev_.dev.name(),
                                held.depth() > depth_
                                    ? "and holds what it took, or is in a context that it entered: " + held.names()
                                    : "and let go what it did not take"),
                    where_);
  }
  if (row_.context == NdoContext::kBhDisabled || row_.context == NdoContext::kIrqsOff) held.leave();
  (void)held.set_op(outer_op_);
}

void NdoScope::bad_answer(int answer) const noexcept {
  const BlockingByDesign allowed;
  report_contract(
      "ndo-answer",
      fmt::format("{} of '{}' answers {}, which is none of: {}", row_.op, dev_.dev.name(), answer, row_.returns),
      where_);
}

USERNIC_BLOCKING_BY_DESIGN_END

void NdoScope::threw() const noexcept {
  std::string what = "something";
  try {
    throw;
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  report_contract("ndo-throws", fmt::format("{} of '{}' throws: {}", row_.op, dev_.dev.name(), what), where_);
}

}  // namespace usernic
