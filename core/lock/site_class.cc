// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/site_class.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "core/lock/lock_graph.h"

namespace usernic {
namespace {

struct Site {
  LockClass lock_class;
  const void* kind;
  Place where;
  std::array<char, 32> what;
  std::array<char, 80> name;
};

constexpr LockClass kSitesClass{"lock_sites", LockUse::kAnyContext};
constinit SpinLock sites_lock{kSitesClass};
constinit std::array<Site, 256> sites{};
constinit size_t sites_count = 0;

bool same_place(const Place& a, const Place& b) noexcept {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

// Cut to what fits.
template <size_t kSize, class... Args>
void print(std::array<char, kSize>& text, fmt::format_string<Args...> format, Args&&... args) {
  *fmt::format_to_n(text.data(), kSize - 1, format, std::forward<Args>(args)...).out = '\0';
}

std::string_view file_of(const Place& where) {
  const std::string_view path = where.file_name();
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

const LockClass* class_of_site(std::string_view what, const void* kind, Place where) noexcept {
  if (!kChecksOn) return nullptr;
  what = what.substr(0, sizeof(Site::what) - 1);
  {
    const SpinGuard guard(sites_lock);
    for (size_t i = 0; i < sites_count; ++i) {
      const Site& site = sites[i];
      if (site.kind == kind && same_place(site.where, where) && site.what.data() == what) return &site.lock_class;
    }
    if (sites_count < sites.size()) {
      Site& site = sites[sites_count++];
      site.kind = kind;
      site.where = where;
      print(site.what, "{}", what);
      print(site.name, "{} of {}:{}", what, file_of(where), where.line());
      site.lock_class.name = site.name.data();
      return &site.lock_class;
    }
  }
  static RawAtomic<bool> told{false};
  if (!told.exchange(true)) say_full("places or names of work items and queues");
  return nullptr;
}

}  // namespace usernic
