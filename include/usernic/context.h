// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: contexts, and reports of a broken contract.
//
// Code runs in one of three contexts, as in the kernel: process (may sleep), BH disabled (softirq: start_xmit, poll,
// get_stats) and hard irq (an interrupt handler). A scope enters a context, scopes nest, and the innermost counts.
// Holding a SpinLock is atomic too. The contexts are known at run time while checks are on; what breaks a rule is
// reported with both places: where it happened, and where the context or lock that forbids it was entered.
//
// Checks are on in debug, test and sim builds, and in release with USERNIC_CHECKS=1 in the environment. They are
// chosen once, before the first lock is taken; off, a scope or lock costs one predictable branch more. With
// USERNIC_CHECKS=verifier drivers are put to the test as well: docs/verifier.md.
#pragma once

#include <cstdint>
#include <string_view>

#include "usernic/annotations.h"
#include "usernic/place.h"

namespace usernic {

struct NetDevice;

enum class Context : uint8_t { kProcess, kBhDisabled, kHardIrq };
std::string_view context_name(Context context) noexcept;

// Are contexts and locks checked in this process?
extern const bool kChecksOn;
extern const bool kVerifierOn;  // then kChecksOn, too

// Where we are. Always kProcess while checks are off.
Context current_context() noexcept USERNIC_NONBLOCKING;

// Code runs in the context, or a lock keeps the context out as long as it is held.
enum class ScopeOf : uint8_t { kCode, kLock };

namespace internal {
void enter_context(Context context, ScopeOf whose, Place where) noexcept USERNIC_NONBLOCKING;
void leave_context() noexcept USERNIC_NONBLOCKING;
void allow_blocking(int change) noexcept USERNIC_NONBLOCKING;
}  // namespace internal

// From here to the end of the scope the code runs in the named context.
template <Context kContext, ScopeOf kWhose = ScopeOf::kCode>
class ContextScope {
 public:
  explicit ContextScope(Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    if (kChecksOn) [[unlikely]]
      internal::enter_context(kContext, kWhose, where);
  }
  ~ContextScope() USERNIC_NONBLOCKING {
    if (kChecksOn) [[unlikely]]
      internal::leave_context();
  }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;
};
using BhScope = ContextScope<Context::kBhDisabled>;  // [kernel: local_bh_disable]
using HardIrqScope = ContextScope<Context::kHardIrq>;

// To the end of the scope a system call or an allocation is allowed, although the context is atomic: it is bounded and
// part of the contract. The run-time half of USERNIC_BLOCKING_BY_DESIGN_BEGIN. Say why.
USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the sanitizer's switches are not annotated
    class BlockingByDesign {
 public:
  BlockingByDesign() noexcept USERNIC_NONBLOCKING {
    USERNIC_RTSAN(__rtsan_disable());
    if (kChecksOn) [[unlikely]]
      internal::allow_blocking(1);
  }
  ~BlockingByDesign() USERNIC_NONBLOCKING {
    if (kChecksOn) [[unlikely]]
      internal::allow_blocking(-1);
    USERNIC_RTSAN(__rtsan_enable());
  }
  BlockingByDesign(const BlockingByDesign&) = delete;
  BlockingByDesign& operator=(const BlockingByDesign&) = delete;
};
USERNIC_BLOCKING_BY_DESIGN_END

// Says that the caller may sleep here; reported in an atomic context or under a SpinLock [kernel: might_sleep].
void might_sleep(Place where = Place::current()) noexcept;

// To the end of the scope, reports of this thread name the device and its driver. The core has such a scope around
// every call of a driver, a lane's items and what operates a device. A driver's own thread, an interrupt handler, say,
// may have one itself. The innermost counts; null leaves the one outside. Requires: the device outlives the scope.
class ReportsOn {
 public:
  explicit ReportsOn(const NetDevice* dev) noexcept USERNIC_NONBLOCKING;
  explicit ReportsOn(const NetDevice& dev) noexcept USERNIC_NONBLOCKING : ReportsOn(&dev) {}
  ~ReportsOn() USERNIC_NONBLOCKING;
  ReportsOn(const ReportsOn&) = delete;
  ReportsOn& operator=(const ReportsOn&) = delete;

 private:
  const NetDevice* const outer_;
};

}  // namespace usernic
// Explained best by: core/lock/context_test.cc
