// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/context.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "core/lock/held_locks.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

bool says(const char* name, const char* wanted) noexcept {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, wanted) == 0;
}

bool checks_wanted() noexcept {
  const char* value = std::getenv("USERNIC_CHECKS");
  if (value != nullptr) return std::strcmp(value, "0") != 0;
#if defined(USERNIC_CHECKS) || defined(USERNIC_SIM)
  return true;
#else
  return false;
#endif
}

}  // namespace

const bool kChecksOn = checks_wanted();
const bool kVerifierOn = says("USERNIC_CHECKS", "verifier");
const bool kReportsAbort = !says("USERNIC_ON_REPORT", "continue");

std::string place_text(const Place& place) {
  return fmt::format("{}:{} ({})", place.file_name(), place.line(), place.function_name());
}

std::string_view context_name(Context context) noexcept {
  switch (context) {
    case Context::kProcess:
      return "process";
    case Context::kBhDisabled:
      return "BH disabled";
    case Context::kHardIrq:
      return "hard irq";
  }
  return "unknown";
}

Context current_context() noexcept {
  return HeldLocks::mine().context();
}

namespace internal {
void enter_context(Context context, ScopeOf whose, Place where) noexcept {
  HeldLocks::mine().enter(context, whose, where);
}
void leave_context() noexcept {
  HeldLocks::mine().leave();
}
void allow_blocking(int change) noexcept {
  HeldLocks::mine().allow_blocking(change);
}
}  // namespace internal

void might_sleep(Place where) noexcept {
  if (kChecksOn) [[unlikely]]
    HeldLocks::mine().check_may_sleep(where);
}

}  // namespace usernic
