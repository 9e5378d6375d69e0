// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/contract/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include "usernic/contract_report.h"
#include "usernic/lock.h"

namespace usernic {
namespace {

constexpr size_t kKept = 64;
constexpr LockClass kLentClass{"lent"};

struct Returned {
  std::unique_ptr<std::byte[]> octets;
  size_t bytes = 0;
  std::string op, device;

  void look() {
    const auto all = std::span(octets.get(), bytes);
    const auto written = std::ranges::find_if(all, [](std::byte each) { return each != Lent::kBad; });
    if (written == all.end()) return;
    report_contract("verifier-kept-pointer",
                    fmt::format("{} of '{}' kept a pointer to what it was handed, and wrote to octet {} of it after it "
                                "had returned: copy what is needed later",
                                op, device, written - all.begin()),
                    Place::current());
    std::ranges::fill(all, Lent::kBad);
  }
};

struct Kept {
  Mutex lock{kLentClass};
  std::array<Returned, kKept> all USERNIC_GUARDED_BY(lock);
  size_t next USERNIC_GUARDED_BY(lock) = 0;
};
Kept& kept() {
  static Kept& instance = *new Kept;  // outlives every thread
  return instance;
}

}  // namespace

Lent::Lent(const NetDevice& dev, const char* op, void* original, size_t bytes, bool comes_back)
    : dev_(dev),
      op_(op),
      original_(original),
      bytes_(bytes),
      comes_back_(comes_back),
      copy_(bytes == 0 ? nullptr : new (std::nothrow) std::byte[bytes]) {
  if (copy_ != nullptr) std::memcpy(copy_.get(), original_, bytes_);
}

Lent::~Lent() {
  if (copy_ == nullptr) return;
  if (comes_back_) std::memcpy(original_, copy_.get(), bytes_);
  std::fill_n(copy_.get(), bytes_, kBad);
  try {
    Returned mine{std::move(copy_), bytes_, op_, dev_.name()};
    MutexGuard guard(kept().lock);
    Returned& place = kept().all[kept().next++ % kKept];
    std::swap(place, mine);
    if (mine.octets != nullptr) mine.look();
  } catch (const std::bad_alloc&) {  // one fewer is looked at
  }
}

void Lent::look() {
  MutexGuard guard(kept().lock);
  for (Returned& each : kept().all) {
    if (each.octets != nullptr) each.look();
  }
}

}  // namespace usernic
