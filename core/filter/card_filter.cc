// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/filter/card_filter.h"

#include <algorithm>

namespace usernic {

void CardFilter::configure(const RxFilterCaps& caps, BucketOf bucket_of, const void* driver, Duration retry_first) {
  caps_ = caps;
  retry_first_ = retry_first;
  tables_[0] = {.slots = caps.unicast_slots, .limit = caps.unicast_slots};
  tables_[1] = {.slots = caps.multicast_slots, .limit = caps.multicast_slots};
  vlans_.configure(caps.vlan_slots, caps.vlan_filter_fixed);
  for (CardClass* each : {&uc_, &mc_}) {
    each->slots = &tables_[table_of(each->table.address_class())];
    each->bucket_of = bucket_of;
    each->driver = driver;
    each->retry_first = retry_first;
  }
}

bool CardFilter::drain(uint64_t generation) noexcept {
  return uc_.drain(generation) && mc_.drain(generation);
}

void CardFilter::rewind() noexcept {
  for (CardClass* each : {&uc_, &mc_}) each->table.rewind(each->card);
}

bool CardFilter::take_in() {
  const bool uc = uc_.take_in();
  const bool mc = mc_.take_in();
  return uc || mc;
}

void CardFilter::settle_drained() noexcept {
  uc_.settle_drained();
  mc_.settle_drained();
}

bool CardFilter::forget_chunk(bool close) {
  return uc_.forget_chunk(close) || mc_.forget_chunk(close);
}

void CardFilter::come_back() {
  uc_.come_back();
  mc_.come_back();
}

void CardFilter::unlearn() {
  for (SlotTable& table : tables_) table.limit = table.slots;
  promisc_ = allmulti_ = {};
  vlans_.forget();
  uc_.hash.configure(caps_.unicast_hash_buckets);
  mc_.hash.configure(caps_.multicast_hash_buckets);
  refused_with_ = 0;
  stays_promisc_ = stays_allmulti_ = false;
  again_ = true;
}

void CardFilter::wake(Time now, bool all) {
  for (CardClass* each : {&uc_, &mc_}) each->wake_parked(all ? kForever : now);
  if (!all) return;
  for (CardFlag* flag : {&promisc_, &allmulti_, &vlans_.open}) flag->retry.make_due();
  for (CardClass* each : {&uc_, &mc_}) each->hash.make_due();
  vlans_.wake();
}

Time CardFilter::due() const noexcept {
  Time due = vlans_.due();
  for (const CardClass* each : {&uc_, &mc_}) due = std::min({due, each->next_due(), each->hash.due()});
  for (const CardFlag* flag : {&promisc_, &allmulti_, &vlans_.open}) due = std::min(due, flag->retry.next());
  return due;
}

// A cover that failed and waits for its retry is none yet: that retry brings the eviction.
bool CardFilter::has_cover(AddressClass address_class) const noexcept {
  bool some = false;
  bool waiting = false;
  const auto look = [&](bool exists, bool on, bool waits) {
    some |= exists;
    waiting |= exists && !on && waits;
  };
  const HashImage& hash = of(address_class).hash;
  look(hash.usable(), hash.all_well(), hash.waits(now_));
  look(caps_.promisc && !promisc_.refused, promisc_.is_sure(), promisc_.retry.waits(now_));
  if (address_class == AddressClass::kMulticast)
    look(caps_.allmulti && !allmulti_.refused, allmulti_.is_sure(), allmulti_.retry.waits(now_));
  return some && !waiting;
}

bool CardFilter::covers(AddressClass address_class, bool exactly, uint32_t bucket) const noexcept {
  return exactly || passes_all(address_class) || hashed(address_class, bucket);
}

bool CardFilter::passes_all(AddressClass address_class) const noexcept {
  return promisc_.sure || (address_class == AddressClass::kMulticast && allmulti_.sure);
}

bool CardFilter::hashed(AddressClass address_class, uint32_t bucket) const noexcept {
  const HashImage& hash = of(address_class).hash;
  return hash.buckets() != 0 && hash.sure(bucket);
}

uint32_t CardFilter::bucket_of(AddressClass address_class, const MacAddress& address) const noexcept {
  const CardClass& each = of(address_class);
  return each.hash.buckets() != 0 ? each.bucket(address) : 0;
}

// Does a hash image still differ from what its class wants?
static bool image_owes(const CardClass& each) noexcept {
  return !is_wide(each.level) && each.hash.has_dirty() && each.hash.all_well();
}

bool CardFilter::again() const noexcept {
  return again_ || image_owes(uc_) || image_owes(mc_);
}

FilterView CardFilter::view() const noexcept {
  const auto of_class = [](const CardClass& each) {
    return FilterView::OfClass{.level = each.level, .outside = each.outside(), .wanted = each.wanted()};
  };
  const bool flags = promisc_.in_effect() && allmulti_.in_effect() && vlans_.open.in_effect();
  const bool hashes = uc_.hash.all_well() && mc_.hash.all_well();
  const bool multicast_deaf = !allmulti_.is_sure() && mc_.uncovered_by_exact_and_hash();
  return {.classes = {of_class(uc_), of_class(mc_)},
          .narrow_deferred = promisc_.is_deferred() || allmulti_.is_deferred() || vlans_.open.is_deferred(),
          .full = stays_promisc_ || stays_allmulti_,
          .in_effect = !again() && flags && hashes && vlans_.in_effect(),
          .deaf = !promisc_.is_sure() && (multicast_deaf || uc_.uncovered_by_exact_and_hash()),
          .retries_addresses = uc_.parked() + mc_.parked() != 0,
          .vlans_unfit = vlans_.unfit(),
          .vlans_wanted = vlans_.filtered()};
}

}  // namespace usernic
