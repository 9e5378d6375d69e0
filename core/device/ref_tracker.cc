// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/ref_tracker.h"

#include <fmt/format.h>

#include "usernic/contract_report.h"

namespace usernic {

void RefTracker::add(DeviceRef& ref) noexcept {
  SpinGuard guard(lock_);
  refs_.push_back(ref);
}

void RefTracker::remove(DeviceRef& ref) noexcept {
  SpinGuard guard(lock_);
  refs_.erase(refs_.iterator_to(ref));
  if (awaited_ && refs_.empty()) gone_.wake();
}

void RefTracker::hold() noexcept {
  SpinGuard guard(lock_);
  ++untracked_;
}

void RefTracker::put(Place where) noexcept {
  {
    SpinGuard guard(lock_);
    if (untracked_ != 0) {
      if (--untracked_ == 0 && awaited_) gone_.wake();
      return;
    }
  }
  report_contract("ref-underflow", "a device's reference is put that nobody holds", where);
}

void RefTracker::move(DeviceRef& from, DeviceRef& to) noexcept {
  SpinGuard guard(lock_);
  refs_.insert(refs_.iterator_to(from), to);
  refs_.erase(refs_.iterator_to(from));
}

bool RefTracker::await_none() noexcept {
  SpinGuard guard(lock_);
  awaited_ = true;
  return refs_.empty() && untracked_ == 0;
}

std::vector<std::string> RefTracker::holders() const {
  struct Holder {
    const char* name;
    Place where;
  };
  std::vector<Holder> found;
  uint32_t untracked = 0;
  {
    SpinGuard guard(lock_);
    untracked = untracked_;
    found.reserve(refs_.size());
    for (const DeviceRef& ref : refs_) found.push_back({ref.holder_, ref.where_});
  }
  std::vector<std::string> texts;
  for (const Holder& each : found) {
    texts.push_back(fmt::format("{} ({}:{})", each.name, each.where.file_name(), each.where.line()));
  }
  if (untracked != 0) texts.push_back(fmt::format("{} without a name", untracked));
  return texts;
}

}  // namespace usernic
