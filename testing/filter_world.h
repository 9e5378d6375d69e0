// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a receive filter alone, against a card that fails: random wishes, failures, losses and times, in one
// thread. `step` and `calm` throw a Finding when something does not hold:
//
//   never-deaf    an address (or a VLAN id) wanted throughout, once published as covered, is accepted
//   programmed    what is surely on the card is on it, and what is on it may be
//   capacity      nothing is handed out that the card is known not to have: a slot, a flag
//   runs-for-ever when nothing changes and all works, the commands end
//   nothing-missed, own-first, narrow-again    and then: what is wanted is accepted, and nothing more is programmed
//
// Where chance comes from is the caller's: a seed, or a fuzzer's input. `below(n)` is all that it needs.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "core/filter/card_filter.h"
#include "core/lock/mutation.h"
#include "testing/addresses.h"
#include "testing/held_filter.h"

namespace usernic {

struct Finding : std::runtime_error {
  Finding(std::string_view the_rule, std::string_view text)
      : std::runtime_error(std::string(the_rule) + ": " + std::string(text)), rule(the_rule) {}
  std::string rule;
};

template <class Chance>
class FilterWorld {
 public:
  explicit FilterWorld(Chance& chance) : chance_(chance), filter_(uc_, mc_) {
    addr_list_lock.assert_held();
    caps_ = {.unicast_slots = below(4),
             .multicast_slots = below(4),
             .shared_slots = below(3) == 0,
             .own_address_uses_slot = below(2) != 0,
             .unicast_hash_buckets = below(3) == 0 ? 4u : 0u,
             .multicast_hash_buckets = below(3) == 0 ? 4u : 0u,
             .promisc = below(8) != 0,
             .allmulti = below(4) != 0,
             .vlan_slots = below(3)};
    missing_ = below(4) == 0 ? 1 : 0;
    fails_ = below(4) * 2;
    refuses_ = below(4) * 4;
    filter_.configure(caps_, bucket_of, nullptr, kSecond);
    set_own(uc(100));
  }

  // `steps` wishes and runs, then calm.
  void play(uint32_t steps) {
    while (steps-- > 0) step();
    calm();
  }
  void step() {
    switch (below(8)) {
      case 0:
        now_ += kSecond * below(4);
        return run();
      case 1:
      case 2:
        return run();
      case 3:
        if (one_in(6)) lose();
        return;
      default:
        wish();
    }
  }
  // Nothing changes any more, and everything works.
  void calm() {
    calm_ = true;
    int runs = 0;
    do {
      if (++runs > 100) throw Finding("runs-for-ever", "commands do not end, though nothing changes");
      if (filter_.due() != kForever) now_ = std::max(now_, filter_.due());
      run();
    } while (planned_ || filter_.again() || filter_.due() != kForever);
    const FilterView view = filter_.view();
    if (!view.in_effect || (view.narrow_deferred && !view.deaf))
      throw Finding("runs-for-ever", "it rests, and is not done");
    for_each_address([&](const MacAddress& address) { check_calm(address, view); });
    check_own();
    if (!promisc_ && !allmulti_) check_narrow();
  }
  uint64_t commands() const { return commands_; }

 private:
  static constexpr Duration kSecond = std::chrono::seconds(1);
  static constexpr uint64_t kAddresses = 4;
  static constexpr uint16_t kIds = 4;

  static uint32_t bucket_of(const void*, AddressClass, const MacAddress& address) { return address.octets[5] % 4; }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(chance_.below(bound)); }
  bool one_in(uint32_t n) { return n != 0 && below(n) == 0; }
  static AddressClass class_of(const MacAddress& address) {
    return address.is_multicast() ? AddressClass::kMulticast : AddressClass::kUnicast;
  }
  AddressTable& table(const MacAddress& address) { return address.is_multicast() ? mc_ : uc_; }
  template <class Visit>
  void for_each_address(Visit&& visit) {
    for (uint64_t n = 0; n < kAddresses; ++n) visit(uc(n + 1)), visit(mc(n + 1));
    for (uint64_t n = 100; n < 102; ++n) visit(uc(n));
  }
  bool accepts(const MacAddress& address) const { return card_.accepts(address, caps_, address.octets[5]); }

  // ---- wishes -------------------------------------------------------------------------------------------------------

  void want(const MacAddress& address, bool wanted) {
    addr_list_lock.assert_held();
    AddressEntry* const entry = wanted ? &table(address).find_or_make(address) : table(address).find(address);
    if (entry == nullptr) return;
    const uint64_t own = entry->refs & AddressEntry::kOwn;
    table(address).set_refs(*entry, own | (wanted ? AddressEntry::kUser : 0));
  }
  void set_own(const MacAddress& address) {
    addr_list_lock.assert_held();
    if (caps_.own_address_uses_slot) {
      uc_.set_own(address, true);
      if (address != own_ && uc_.find(own_) != nullptr) uc_.set_own(own_, false);
    }
    own_ = address;
    changes_.next_generation();
  }
  void wish() {
    addr_list_lock.assert_held();
    const uint64_t n = 1 + below(kAddresses);
    switch (below(12)) {
      case 0:
        promisc_ = !promisc_;
        changes_.next_generation();
        break;
      case 1:
        allmulti_ = !allmulti_;
        changes_.next_generation();
        break;
      case 2:
        set_own(uc(100 + below(2)));
        break;
      case 3:
        vlan_filter_ = !vlan_filter_;
        must_pass_.clear();
        changes_.next_generation();
        break;
      case 4: {
        const auto id = static_cast<uint16_t>(below(kIds));
        ids_.flip(id);
        id_changed_[id] = changes_.next_generation();
        must_pass_.erase(id);
        break;
      }
      default:
        want(below(2) == 0 ? uc(n) : mc(n), below(3) != 0);
    }
  }
  void lose() {
    card_ = {};
    epoch_.fetch_add(1);
    must_hear_.clear();
    must_pass_.clear();
  }

  // ---- a run --------------------------------------------------------------------------------------------------------

  void forget() {
    addr_list_lock.assert_held();
    seen_epoch_ = epoch_.load();
    while (filter_.forget_chunk(false)) {
    }
    filter_.come_back();
    filter_.unlearn();
  }
  void run() {
    addr_list_lock.assert_held();
    if (epoch_.load() != seen_epoch_) forget();
    filter_.wake(now_, false);
    FilterTarget target{.generation = changes_.generation,
                        .promisc = promisc_,
                        .allmulti = allmulti_,
                        .vlan_filter = vlan_filter_,
                        .own = own_};
    if (caps_.own_address_uses_slot) target.own_entry = uc_.find(own_);
    for (bool drained = false; !drained;) {
      drained = filter_.drain(target.generation);
      if (filter_.take_in()) filter_.settle_drained();
    }
    filter_.place(target, ids_, now_);
    std::vector<RxStep>& steps = filter_.plan(now_);
    planned_ = !steps.empty();
    PlanBook book(steps, filter_.free_slots(), StopToken(), epoch_, seen_epoch_);
    const bool lazy = calm_ ? false : one_in(10);  // goes after a while, without a word
    while (RxStep* const each = book.next()) {
      book.answer(*each, execute(*each));
      ++commands_;
      check_never_deaf();
      if (calm_) continue;
      if (one_in(12)) wish();
      if (one_in(200)) lose();
      if (lazy && one_in(3)) break;
    }
    const bool forgot = epoch_.load() != seen_epoch_;
    if (forgot) forget();
    for (RxStep& each : steps) forgot ? filter_.answer_forgotten(each) : filter_.answer(each, false, now_);
    filter_.end_answers();
    check_never_deaf();
    publish(target);
  }

  Result<> execute(const RxStep& step) {
    const RxCommand& command = step.command;
    const bool multicast = command.object == RxObject::kMulticast;
    const bool on = command.kind < RxCommandKind::kDel;
    const bool fails = !calm_ && one_in(fails_);
    const bool refusable = on && command.object != RxObject::kPromisc && command.object != RxObject::kVlanUnfiltered;
    if (!calm_ && refusable && one_in(refuses_)) return fail(std::errc::operation_not_supported);
    if (on && ((command.object == RxObject::kPromisc && !caps_.promisc) ||
               (command.object == RxObject::kAllmulti && !caps_.allmulti)))
      throw Finding("capacity", "a flag is asked for that the card does not have");
    if (fails && below(2) == 0) return fail(std::errc::io_error);  // not done
    if (step.entry != nullptr && on && !card_.exact[multicast].contains(command.address) &&
        card_.room(caps_, multicast) == 0)
      throw Finding("capacity", "an add is handed out for which there is no slot");
    if (const Result<> applied = card_.apply(command, caps_, missing_); !applied) return applied;
    return fails ? fail(std::errc::io_error) : Result<>();
  }

  void publish(const FilterTarget& target) {
    addr_list_lock.assert_held();
    if (epoch_.load() != seen_epoch_) return;
    check_belief();
    if (!filter_.view().in_effect) return;
    for_each_address([&](const MacAddress& address) {
      addr_list_lock.assert_held();
      const AddressEntry* const entry = table(address).find(address);
      if (entry == nullptr || !entry->wanted() || entry->generation > target.generation) return;
      if (filter_.covers(class_of(address), entry->covers(), filter_.bucket_of(class_of(address), address)))
        must_hear_[address] = entry->generation;
    });
    for (uint16_t id = 0; id < kIds && vlan_filter_ && target.vlan_filter; ++id) {
      if (ids_[id] && id_changed_[id] <= target.generation) must_pass_.insert(id);
    }
    check_never_deaf();
  }

  // ---- what must hold -----------------------------------------------------------------------------------------------

  void check_never_deaf() {
    std::erase_if(must_hear_, [&](const auto& each) {
      addr_list_lock.assert_held();
      const AddressEntry* const entry = table(each.first).find(each.first);
      return entry == nullptr || !entry->wanted() || entry->generation != each.second;
    });
    for (const auto& [address, generation] : must_hear_) {
      if (!accepts(address)) throw Finding("never-deaf", address.to_string() + " was covered throughout, and is deaf");
    }
    for (uint16_t id : must_pass_) {
      if (!card_.vlan_open && !card_.vlans.contains(id)) throw Finding("never-deaf", "a VLAN is deaf");
    }
  }

  static void agree(bool sure, bool maybe, bool on, const char* what, const MacAddress& address = {}) {
    if (!(sure && !on) && !(on && !maybe)) return;
    throw Finding("programmed",
                  std::string(what) + " " + address.to_string() +
                      (on ? " is on the card, and not believed" : " is believed on the card, and is not"));
  }
  void check_belief() {
    for_each_address([&](const MacAddress& address) {
      addr_list_lock.assert_held();
      const AddressEntry* const entry = table(address).find(address);
      const bool on = card_.exact[address.is_multicast()].contains(address);
      agree(entry != nullptr && entry->sure, entry != nullptr && entry->maybe, on, "an address", address);
    });
    const auto flag = [&](RxObject object, bool on, const char* name) {
      agree(filter_.flag(object).is_sure(), filter_.flag(object).is_maybe(), on, name);
    };
    flag(RxObject::kPromisc, card_.promisc, "promisc");
    flag(RxObject::kAllmulti, card_.allmulti, "allmulti");
    flag(RxObject::kVlanUnfiltered, card_.vlan_open, "the open VLAN filter");
    addr_list_lock.assert_held();
    for (const AddressClass each : {AddressClass::kUnicast, AddressClass::kMulticast}) {
      const HashImage& hash = filter_.of(each).hash;
      for (uint32_t bucket = 0; bucket < hash.buckets(); ++bucket) {
        const bool on = card_.buckets[static_cast<size_t>(each)].contains(bucket);
        agree(hash.sure(bucket), hash.maybe(bucket), on, "a bucket");
      }
    }
    for (uint16_t id = 0; id < kIds; ++id) {
      agree(filter_.vlans().sure()[id], filter_.vlans().maybe()[id], card_.vlans.contains(id), "a VLAN");
    }
  }

  void check_calm(const MacAddress& address, const FilterView& view) {
    addr_list_lock.assert_held();
    const AddressEntry* const entry = table(address).find(address);
    const bool wanted = entry != nullptr && entry->wanted();
    const bool degraded = view.classes[address.is_multicast()].level == FilterLevel::kDegraded;
    if (wanted && !degraded && !accepts(address))
      throw Finding("nothing-missed", address.to_string() + " is wanted and not accepted");
    if (!wanted && card_.exact[address.is_multicast()].contains(address))
      throw Finding("nothing-missed", address.to_string() + " is programmed exactly, and nobody wants it");
    if (!wanted && entry != nullptr) throw Finding("nothing-missed", "an entry is kept that nobody wants");
  }
  void check_own() {
    const AddressEntry* const own = filter_.target().own_entry;
    if (own == nullptr || own->refused || own->state == CardState::kExact) return;
    if (filter_.of(AddressClass::kUnicast).count(CardState::kExact) != 0 && filter_.has_cover(AddressClass::kUnicast))
      throw Finding("own-first", "the own address is outside, and others have a slot");
  }
  void check_narrow() {
    for (const AddressClass address_class : {AddressClass::kUnicast, AddressClass::kMulticast}) {
      const CardClass& each = filter_.of(address_class);
      if (!is_wide(each.level) || each.outside() != 0) continue;
      if (each.wanted() <= std::max(1u, each.slots_at_entry * 3 / 4))
        throw Finding("narrow-again", "a class stays wide although everything fits");
    }
  }

  Chance& chance_;
  ChangeCount changes_;
  EntryPool pool_;
  AddressTable uc_{changes_, pool_, AddressClass::kUnicast, 1};
  AddressTable mc_{changes_, pool_, AddressClass::kMulticast, 2};
  CardFilter filter_;
  RxFilterCaps caps_;
  uint32_t missing_ = 0, fails_ = 0, refuses_ = 0;  // slots that it has not; one command in so many

  bool promisc_ = false, allmulti_ = false, vlan_filter_ = false;
  VlanSet ids_;
  uint64_t id_changed_[kIds] = {};
  MacAddress own_ = uc(100);

  HeldFilter card_;
  Atomic<uint64_t> epoch_{1};
  uint64_t seen_epoch_ = 0;
  Time now_{};
  bool calm_ = false, planned_ = false;
  uint64_t commands_ = 0;
  std::map<MacAddress, uint64_t> must_hear_;  // and the generation of its entry
  std::set<uint16_t> must_pass_;
};

}  // namespace usernic
