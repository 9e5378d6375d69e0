// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/rx_status.h"

#include <fmt/format.h>

#include <algorithm>

namespace usernic {

bool RxStatus::covers(const MacAddress& address) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  if (wanted_.gone || !valid()) return false;
  const bool own = address == wanted_.own && !filter_.caps().own_address_uses_slot;
  if (address.is_broadcast() || own) return true;
  const WantedList& table = wanted_.wanting(address);
  const AddressEntry* entry = table.find(address);
  return filter_.covers(table.address_class(), entry != nullptr && entry->covers(),
                        filter_.bucket_of(table.address_class(), address));
}

FilterMode RxStatus::mode_of(AddressClass address_class) const noexcept {
  if (!valid()) return FilterMode::kNone;
  if (filter_.flag(RxObject::kPromisc).sure) return FilterMode::kPromisc;
  if (filter_.passes_all(address_class)) return FilterMode::kAllmulti;
  if (committed_.generation == 0) return FilterMode::kNone;
  const FilterLevel level = committed_.view.classes[static_cast<size_t>(address_class)].level;
  return level == FilterLevel::kHash ? FilterMode::kHash : FilterMode::kExact;
}

// Why a VLAN filter that is asked for is open all the same.
std::string RxStatus::reason_of_vlans() const {
  const uint32_t slots = filter_.caps().vlan_slots;
  const auto room = [slots](CardVlans::Unfit why) -> std::string {
    switch (why) {
      case CardVlans::Unfit::kTooMany:
        return fmt::format("{} slot{}", slots, slots == 1 ? "" : "s");
      case CardVlans::Unfit::kRefused:
        return "the card refused one";
      default:
        return "no slots";
    }
  };
  const size_t ids = committed_.view.vlans_wanted;
  return fmt::format("{} VLAN{}, {}: filter {}", ids, ids == 1 ? "" : "s", room(committed_.view.vlans_unfit),
                     filter_.vlans().open.sure ? "open" : "still closed");
}

// Why a class is wider than exact.
std::string RxStatus::reason_of_class(AddressClass address_class) const {
  const bool multicast = address_class == AddressClass::kMulticast;
  const char* const what = multicast ? "multicast" : "unicast";
  const FilterView::OfClass& now = committed_.view.classes[multicast];
  const RxFilterCaps& caps = filter_.caps();
  const uint32_t slots = filter_.slots(address_class).slots;
  const bool no_filter = !multicast && slots == 0 && caps.unicast_hash_buckets == 0;
  const std::string table = no_filter ? "no unicast filter"
                            : slots == UINT32_MAX
                                ? "a full card"
                                : fmt::format("{}{} slots", caps.shared_slots ? "shared " : "", slots);
  const bool leaves = now.outside == 0 && now.level != FilterLevel::kDegraded && !no_filter;
  std::string text = fmt::format("{} {} addresses, {}{}", now.wanted, what, table, leaves ? " (leaves at 3/4)" : "");
  if (now.level == FilterLevel::kDegraded) text += fmt::format("; nothing wider than {} exact entries", what);
  return text;
}

std::string RxStatus::reason() const {
  if (!committed_.up) return "the device is down";
  if (committed_.generation == 0) return "nothing is programmed yet";
  if (!valid()) return "the card forgot its filter";
  std::string text;
  const auto add = [&text](std::string_view reason) {
    if (!text.empty()) text += "; ";
    text += reason;
  };
  const auto asked_for = [&](const char* what, uint32_t times) {
    if (times != 0) add(fmt::format("{} asked for {} {}", what, times, times == 1 ? "time" : "times"));
  };
  asked_for("promiscuity", wanted_.promiscuity.total());
  asked_for("allmulti", wanted_.allmulti.total());
  const FilterView& view = committed_.view;
  for (const AddressClass each : {AddressClass::kUnicast, AddressClass::kMulticast}) {
    if (view.classes[static_cast<size_t>(each)].level != FilterLevel::kExact) add(reason_of_class(each));
  }
  if (view.vlans_unfit != CardVlans::Unfit::kNo) add(reason_of_vlans());
  if (view.full) add("the card has no room for every address");
  if (view.narrow_deferred) add("narrowing is deferred until every address is programmed");
  return text.empty() ? "everything fits" : text;
}

void RxStatus::fill(RxModeStatus& status) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  status.up = committed_.up;
  status.own_address = wanted_.own;
  status.generation_wanted = wanted_.generation;
  status.generation_programmed = valid() ? committed_.generation : 0;
  status.unicast_mode = mode_of(AddressClass::kUnicast);
  status.multicast_mode = mode_of(AddressClass::kMulticast);
  status.promiscuity = wanted_.promiscuity.total();
  status.allmulti = wanted_.allmulti.total();
  status.vlan_filter = wanted_.vlan_filter;
  status.programmed_promisc = valid() && filter_.flag(RxObject::kPromisc).sure;
  status.programmed_allmulti = valid() && filter_.flag(RxObject::kAllmulti).sure;
  const auto list = [](const VlanSet& ids, std::vector<uint16_t>& to) {
    for (size_t id = ids._Find_first(); id < kVlanIds; id = ids._Find_next(id)) to.push_back(static_cast<uint16_t>(id));
  };
  list(wanted_.vlans, status.wanted_vlans);
  if (valid()) list(filter_.vlans().sure(), status.programmed_vlans);
  status.stats = {.changes = wanted_.generation,
                  .runs = committed_.runs,
                  .driver_calls = committed_.driver_calls,
                  .coalesced = committed_.coalesced,
                  .retries = filter_.tally().retries,
                  .failures = filter_.tally().failures,
                  .lag_p50 = committed_.lag.quantile(500),
                  .lag_p99 = committed_.lag.quantile(990),
                  .lag_max = committed_.lag.max()};
  status.reason = reason();
}

namespace {

template <class T, class Key>
void sort_unique(std::vector<T>& items, Key key) {
  std::sort(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
  items.erase(std::unique(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) == key(b); }),
              items.end());
}

}  // namespace

void RxStatus::fill_addresses(AddressClass address_class, RxModeStatus& status) const {
  const bool multicast = address_class == AddressClass::kMulticast;
  auto& wanted_out = multicast ? status.wanted_multicast : status.wanted_unicast;
  auto& programmed_out = multicast ? status.programmed_multicast : status.programmed_unicast;
  const Time now = Clock::now();
  (multicast ? wanted_.mc : wanted_.uc).read([&](const EntryView& view) {
    bool covered, held_exactly_or_by_hash, degraded;
    {
      ListGuard guard(wanted_.lock, wanted_.level());
      const bool hashed = view.wanted && view.told && filter_.hashed(address_class, view.bucket);
      covered = valid() && view.told && filter_.covers(address_class, view.covers, view.bucket);
      held_exactly_or_by_hash = valid() && (view.sure || hashed);
      degraded = committed_.view.classes[multicast].level == FilterLevel::kDegraded;
    }
    if (view.references != 0) wanted_out.push_back(view.address);
    if (held_exactly_or_by_hash) programmed_out.push_back(view.address);
    if (view.wanted && !covered) status.uncovered.push_back(view.address);
    if (view.attempts != 0) {
      status.failed.push_back({view.address, view.error, view.attempts, std::max(view.due - now, Duration::zero())});
    } else if (view.wanted && view.told && !covered && degraded) {
      status.failed.push_back({view.address, std::errc::no_space_on_device, 0, Duration::zero()});
    }
  });
  sort_unique(wanted_out, [](const MacAddress& a) { return a; });
  sort_unique(programmed_out, [](const MacAddress& a) { return a; });
}

RxModeStatus RxStatus::read() const {
  RxModeStatus status;
  fill(status);
  fill_addresses(AddressClass::kUnicast, status);
  fill_addresses(AddressClass::kMulticast, status);
  sort_unique(status.failed, [](const RxModeStatus::Failed& a) { return a.address; });
  sort_unique(status.uncovered, [](const MacAddress& a) { return a; });
  return status;
}

}  // namespace usernic
