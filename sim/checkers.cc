// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/checkers.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "testing/unseen_by_clang.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic::sim {
namespace {

// The rx mode's inside, read without a lock: nobody else runs meanwhile.
class RxModeSight {
 public:
  explicit RxModeSight(const RxModeEngine& engine) : wanted_(engine.wanted), filter_(engine.filter), e_(engine) {}

  const RxStatus::Committed& committed() const {
    addr_list_lock.assert_held();
    return e_.status.committed();
  }
  uint64_t epoch() const { return e_.status.card_epoch.load(); }
  bool valid() const {
    addr_list_lock.assert_held();
    return e_.status.valid();
  }
  bool promisc_sure() const { return filter_.flag(RxObject::kPromisc).is_sure(); }
  const AddressEntry* find(const MacAddress& address) const {
    addr_list_lock.assert_held();
    return wanted_.wanting(address).find(address);
  }
  bool covers(const AddressEntry& entry) const {
    addr_list_lock.assert_held();
    const WantedList& table = wanted_.wanting(entry.address());
    return valid() && filter_.covers(table.address_class(), entry.covers(), entry.card().bucket);
  }
  // Addresses that somebody wants, the own one included where it is an entry.
  static uint32_t wanted_in(const WantedList& table) {
    addr_list_lock.assert_held();
    const AddressEntry* const own = table.find(table.wanted().own);
    return table.referenced() + (own != nullptr && own->own() && !own->referenced() ? 1 : 0);
  }
  // Every wanted address has been drained.
  bool drained() const {
    return of(false).wanted() == wanted_in(wanted_.uc) && of(true).wanted() == wanted_in(wanted_.mc);
  }

  // The first difference between what is believed and what the card holds; empty: none. A driver that writes the whole
  // may have written, across a loss of the filter, what nobody knows of; it is `settled` when the next call replaces
  // it.
  std::string difference(const Card& card, const std::vector<MacAddress>& addresses, bool settled) const {
    addr_list_lock.assert_held();
    const bool knows_all = settled || card.style == CardStyle::kPlan;
    const auto flag = [&](RxObject object, bool on, const char* name) -> std::string {
      if (filter_.flag(object).is_sure() && !on) return fmt::format("{} is believed on, and is off", name);
      if (knows_all && on && !filter_.flag(object).is_maybe())
        return fmt::format("{} is believed off, and is on", name);
      return "";
    };
    if (auto text = flag(RxObject::kPromisc, card.promisc, "promisc"); !text.empty()) return text;
    if (auto text = flag(RxObject::kAllmulti, card.allmulti, "allmulti"); !text.empty()) return text;
    if (auto text = flag(RxObject::kVlanUnfiltered, card.vlan_open, "the open VLAN filter"); !text.empty()) return text;
    for (const MacAddress& address : addresses) {
      const AddressEntry* const entry = find(address);
      const bool on = card.exact[address.is_multicast()].contains(address);
      // A driver that writes the whole need not write what everything passes.
      const bool there = on || (card.style != CardStyle::kPlan && card.accepts(address));
      if (entry != nullptr && entry->sure && !there)
        return address.to_string() + " is believed on the card, and is not";
      if (card.style == CardStyle::kPlan && on && (entry == nullptr || !entry->maybe))
        return address.to_string() + " is on the card, and not believed";
    }
    for (bool multicast : {false, true}) {
      const HashImage& hash = of(multicast).hash;
      for (uint32_t bucket = 0; bucket < hash.buckets(); ++bucket) {
        const bool on = card.buckets[multicast].contains(bucket);
        if (hash.sure(bucket) && !on) return fmt::format("bucket {} is believed set, and is not", bucket);
        if (on && !hash.maybe(bucket)) return fmt::format("bucket {} is set, and not believed", bucket);
      }
    }
    for (uint16_t id = 0; id < 8; ++id) {
      const bool on = card.vlans.contains(id);
      if (filter_.vlans().sure()[id] && !on && !card.vlan_open)
        return fmt::format("VLAN {} is believed on the card, and is not", id);
      if (knows_all && on && !filter_.vlans().maybe()[id])
        return fmt::format("VLAN {} is on the card, and not believed", id);
    }
    return "";
  }

  // Is the filter of a class wider than what is wanted needs? Requires: settled, nobody wants promisc or allmulti.
  bool too_wide(bool multicast) const {
    const CardClass& each = of(multicast);
    if (!is_wide(each.level) || each.outside() != 0) return false;
    return each.wanted() <= std::max(1u, each.slots_at_entry * 3 / 4);
  }
  // The own address is outside, while another has a slot that it could have.
  std::string own_outside() const {
    if (!filter_.caps().own_address_uses_slot || e_.call->one_result()) return "";
    const AddressEntry* const own = find(own_address());
    const bool placed = own == nullptr || own->refused || own->state == CardState::kExact;
    const bool others = of(false).count(CardState::kExact) != 0;
    if (placed || !others || !filter_.has_cover(AddressClass::kUnicast)) return "";
    const SlotTable& slots = filter_.slots(AddressClass::kUnicast);
    return fmt::format("the own address is in state {}, {}, {} of {} slots taken, and others have one",
                       static_cast<int>(own->state), own->maybe ? "perhaps on the card" : "not on the card",
                       slots.occupied, slots.limit);
  }
  bool nobody_wants_more() const {
    addr_list_lock.assert_held();
    return wanted_.promiscuity.total() == 0 && wanted_.allmulti.total() == 0;
  }

 private:
  const CardClass& of(bool multicast) const {
    return filter_.of(multicast ? AddressClass::kMulticast : AddressClass::kUnicast);
  }
  const MacAddress& own_address() const {
    addr_list_lock.assert_held();
    return wanted_.own;
  }

  const Wanted& wanted_;
  const CardFilter& filter_;
  const RxModeEngine& e_;
};

constexpr uint64_t kCallsToSettle = 300;  // more driver calls than any card needs once nothing changes and all works

bool drained_as_wanted(const AddressEntry& entry) {
  return entry.wanted() && entry.state != CardState::kAbsent && entry.state != CardState::kLeaving;
}

}  // namespace

RxChecker::RxChecker(NetDevice& dev, Card& card, std::vector<MacAddress> addresses)
    : dev_(Device::of(dev)), card_(card), addresses_(std::move(addresses)), seen_(look()), check_([this] { step(); }) {}

RxChecker::Seen RxChecker::look() const {
  const NoSwitch quiet;
  const RxModeSight sight(dev_.engine);
  const RxStatus::Committed& committed = sight.committed();
  return {card_.version,
          committed.runs,
          committed.generation,
          committed.driver_calls,
          sight.epoch(),
          dev_.engine.wanted.generation,
          committed.up && card_.up,
          card_.losses};
}

void RxChecker::step() {
  const RxModeSight sight(dev_.engine);
  watch_promiscuity();
  const Seen now = look();
  if (now == seen_) return;
  const bool forgot = now.epoch != seen_.epoch || now.losses != 0 || !now.up;
  const bool published = now.runs != seen_.runs || now.published > seen_.published;
  seen_ = now;
  if (forgot) must_hear_.clear();
  if (!sight.valid() || !now.up || now.losses != 0) return;
  check_never_deaf();
  for (const MacAddress& address : addresses_) {
    const AddressEntry* const entry = sight.find(address);
    if (entry == nullptr || !drained_as_wanted(*entry) || !sight.covers(*entry) || card_.accepts(address)) continue;
    found("covered", address.to_string() + " is called covered, and the card does not accept it");
  }
  if (published) {
    if (sight.committed().generation == now.generation && !sight.drained()) {
      found("published", "a generation is published that was not drained completely");
    }
    note_covered(false);
  }
  const bool across_a_loss =
      card_.style != CardStyle::kPlan && sight.committed().generation == 0;  // the next call writes all
  if (published && !card_.in_call && !across_a_loss) {
    if (std::string text = sight.difference(card_, addresses_, false); !text.empty())
      found("programmed", std::move(text));
  }
  note_covered(true);
}

// Somebody asked for promiscuity, and it is published: until they take it back, everything is heard and reported so.
void RxChecker::watch_promiscuity() {
  const Wanted& wanted = dev_.engine.wanted;
  if (wanted.promiscuity.total() == 0) {
    promiscuous_since_ = 0;
  } else if (promiscuous_since_ == 0) {
    promiscuous_since_ = wanted.generation;
  }
}

// Reported covered: by a published generation, or by promiscuity that somebody asked for.
void RxChecker::note_covered(bool by_flag) {
  const RxModeSight sight(dev_.engine);
  const bool flag_holds =
      promiscuous_since_ != 0 && sight.committed().generation >= promiscuous_since_ && sight.promisc_sure();
  if (by_flag && !flag_holds) return;
  for (const MacAddress& address : addresses_) {
    const AddressEntry* const entry = sight.find(address);
    if (entry == nullptr || !entry->wanted()) continue;
    if (!by_flag && (entry->generation > sight.committed().generation || !drained_as_wanted(*entry))) continue;
    if (sight.covers(*entry)) must_hear_[address] = entry->generation;
  }
}

void RxChecker::check_never_deaf() {
  const RxModeSight sight(dev_.engine);
  std::erase_if(must_hear_, [&](const auto& each) {
    const AddressEntry* const entry = sight.find(each.first);
    return entry == nullptr || !entry->wanted() || entry->generation != each.second;
  });
  for (const auto& [address, generation] : must_hear_) {
    if (!card_.accepts(address)) found("never-deaf", address.to_string() + " was covered throughout, and is deaf");
  }
}

void RxChecker::settled() {
  const uint64_t calls = card_.calls;
  card_.failing = false;
  const StepCheck bounded([&] {
    if (card_.calls > calls + kCallsToSettle) found("runs-for-ever", "driver calls do not end, though nothing changes");
  });
  const Result<> settled = dev_.rx_mode().settle(kForever);
  expect(settled.has_value(), "settle", "settle gives up");
  const RxModeSight sight(dev_.engine);
  do {  // what is covered may still move to where it belongs
    dev_.lane_queue.flush();
  } while (!dev_.net_ref.impl().workers.leave(dev_.lane_queue));
  const NoSwitch quiet;
  for (const MacAddress& address : addresses_) {
    const AddressEntry* const entry = sight.find(address);
    const bool wanted = entry != nullptr && entry->wanted();
    if (wanted && !card_.accepts(address)) found("nothing-missed", address.to_string() + " is wanted and not accepted");
    if (!wanted && card_.exact[address.is_multicast()].contains(address)) {
      found("nothing-missed", address.to_string() + " is programmed exactly, and nobody wants it");
    }
  }
  if (std::string text = sight.difference(card_, addresses_, true); !text.empty()) found("programmed", std::move(text));
  if (std::string text = sight.own_outside(); !text.empty()) found("own-first", std::move(text));
  if (!sight.nobody_wants_more() || card_.style != CardStyle::kPlan) return;
  for (bool multicast : {false, true}) {
    if (sight.too_wide(multicast)) found("narrow-again", "a class stays wide although everything fits");
  }
}

void check_entries(NetDevice& dev) {
  const NoSwitch quiet;
  const Wanted& wanted = Device::of(dev).engine.wanted;
  for (const WantedList* table : {&wanted.uc, &wanted.mc}) {
    expect(table->entries() == RxModeSight::wanted_in(*table), "entries-left", "an entry is kept that nobody wants");
  }
}

void RxChecker::closed() const {
  check_entries(dev_);
}

}  // namespace usernic::sim

USERNIC_UNSEEN_BY_CLANG_END
