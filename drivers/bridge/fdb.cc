// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bridge/fdb.h"

#include <algorithm>

namespace usernic {

Fdb::Fdb(Duration ageing) : ageing_(ageing), secret_(random_u64()), sets_(std::make_unique<Set[]>(kSets)) {}

// [splitmix64]
Fdb::Set& Fdb::set_of(const MacAddress& station) const noexcept {
  uint64_t mixed = station.to_u64() ^ secret_;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  return sets_[(mixed ^ mixed >> 31) % kSets];
}

Fdb::Entry* Fdb::in(Set& set, const MacAddress& station) noexcept {
  for (Entry& each : set) {
    if (each.address == station) return &each;
  }
  return nullptr;
}

// Null: all are static. An empty one was seen never.
Fdb::Entry* Fdb::room_in(Set& set) noexcept {
  Entry* oldest = nullptr;
  for (Entry& each : set) {
    if (!each.is_static && (oldest == nullptr || each.seen < oldest->seen)) oldest = &each;
  }
  return oldest;
}

void Fdb::learn(const MacAddress& station, PortNumber port, Time now) noexcept {
  SpinGuardBh guard(lock_);
  Set& set = set_of(station);
  Entry* entry = in(set, station);
  if (entry == nullptr) entry = room_in(set);
  if (entry != nullptr && !entry->is_static) *entry = {station, port, false, now};
}

std::optional<Fdb::PortNumber> Fdb::find(const MacAddress& station, Time now) const noexcept {
  SpinGuardBh guard(lock_);
  const Entry* const entry = in(set_of(station), station);
  if (entry == nullptr || !live(*entry, now)) return std::nullopt;
  return entry->port;
}

Result<> Fdb::add_static(const MacAddress& station, PortNumber port) noexcept {
  SpinGuardBh guard(lock_);
  Set& set = set_of(station);
  Entry* entry = in(set, station);
  if (entry == nullptr) entry = room_in(set);
  if (entry == nullptr) return fail(std::errc::no_space_on_device);
  *entry = {station, port, true, {}};
  return {};
}

Result<> Fdb::del_static(const MacAddress& station) noexcept {
  SpinGuardBh guard(lock_);
  Entry* const entry = in(set_of(station), station);
  if (entry == nullptr || !entry->is_static) return fail(std::errc::no_such_file_or_directory);
  *entry = {};
  return {};
}

void Fdb::forget(PortNumber port, bool statics) noexcept {
  SpinGuardBh guard(lock_);
  for (size_t set = 0; set < kSets; ++set) {
    for (Entry& each : sets_[set]) {
      if (each.port == port && (statics || !each.is_static)) each = {};
    }
  }
}

std::vector<Fdb::Entry> Fdb::entries(Time now) const {
  std::vector<Entry> all(kSets * kWays);
  size_t count = 0;
  {
    SpinGuardBh guard(lock_);
    for (size_t set = 0; set < kSets; ++set) {
      for (const Entry& each : sets_[set]) {
        if (live(each, now)) all[count++] = each;
      }
    }
  }
  all.resize(count);
  std::ranges::sort(all, {}, &Entry::address);
  return all;
}

}  // namespace usernic
