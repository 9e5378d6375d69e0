// SPDX-License-Identifier: Apache-2.0 OR MIT
// The engine's invariants under random changes, failures, removals and resets, on real threads: the card checks after
// every command that nothing went deaf which was covered, and at the end that it holds what is wanted.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <iostream>
#include <sstream>

#include "core/rx/random_history.h"
#include "testing/card.h"
#include "testing/random_caps.h"
#include "testing/watch.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

MacAddress address(bool multicast, uint64_t n) {
  return MacAddress::from_u64((multicast ? 0x0300'0000'0000 : 0x0200'0000'0000) | (n + 1));
}

class History {
 public:
  explicit History(uint64_t seed) : chance_{seed}, card_chance_{seed ^ 0x5eed} {
    card_.caps = random_caps(chance_);
    card_.decide = [this](const RxCommand& command, bool& apply) { return fate(command, apply); };
    card_.after_command = [this](const TestCard& card) { check_not_deaf(card); };
    dev_ = *net_.alloc_netdev<TestDriver>({.name = "p0", .rx_retry = milliseconds(1)}, card_);
    (void)dev_->register_netdev();
    (void)dev_->open();
  }

  void rest() {
    if (chance_.one_in(8)) dev_->lane().flush();
  }

  void converge_and_check() {
    {
      MutexGuard guard(card_.mutex);
      failing_ = false;
    }
    lose_filter();  // what was refused is asked again
    const Result<> settled = dev_->rx_mode().settle(soon());
    const RxModeStatus status = dev_->rx_mode().status();
    std::ostringstream told;
    told << "reason: " << status.reason << "\ngeneration " << status.generation_programmed << " of "
         << status.generation_wanted << ", " << status.failed.size() << " failed, " << status.uncovered.size()
         << " uncovered, " << status.stats.runs << " runs, " << status.stats.driver_calls << " calls, vlan filter "
         << status.vlan_filter << "\n"
         << story_;
    // Threads make each history new: a failure is told at once, with what led to it.
    if (!settled || !deaf_empty() || !status.uncovered.empty()) std::cerr << told.str();
    RC_LOG() << told.str();
    RC_ASSERT(settled == Result<>());
    RC_ASSERT(status.uncovered.empty());
    RC_ASSERT(status.failed.empty());
    RC_ASSERT(status.generation_programmed == status.generation_wanted);
    MutexGuard guard(card_.mutex);
    RC_ASSERT(deaf_.empty());
    RC_ASSERT(card_.promisc == status.programmed_promisc);
    RC_ASSERT(card_.allmulti == status.programmed_allmulti);
    for (bool multicast : {false, true}) {
      const auto& wanted = multicast ? status.wanted_multicast : status.wanted_unicast;
      for (const MacAddress& each : wanted) RC_ASSERT(card_.accepts(each));
      for (const MacAddress& each : card_.exact[multicast]) {
        const bool own = card_.caps.own_address_uses_slot && each == status.own_address;
        RC_ASSERT(own || std::binary_search(wanted.begin(), wanted.end(), each));
      }
    }
  }

  // Requires: the card's mutex.
  Result<> fate(const RxCommand& command, bool& apply) {
    const Result<> result = draw_fate(command, apply);
    trace_ += describe(command);
    if (!result) trace_ += fmt::format("    {}{}\n", apply ? "done, but says " : "", errno_name(result.error()));
    return result;
  }
  Result<> draw_fate(const RxCommand& command, bool& apply) {
    if (lost_) return fail(std::errc::io_error);
    if (!failing_ || !card_chance_.one_in(5)) return {};
    const uint64_t how = card_chance_.below(8);
    const bool adding = command.kind == RxCommandKind::kAdd || command.kind == RxCommandKind::kSetBucket;
    if (adding && how == 0) return fail(std::errc::operation_not_supported);
    if (adding && how == 1) return fail(std::errc::no_space_on_device);
    apply = how < 5;
    return fail(std::errc::io_error);
  }

  static std::string describe(const RxCommand& command) {
    static constexpr const char* kKinds[] = {"widen", "add", "set_bucket", "del", "clear_bucket", "narrow"};
    static constexpr const char* kObjects[] = {"unicast", "multicast", "vlan",
                                               "promisc", "allmulti",  "vlan_unfiltered"};
    return fmt::format("  {} {} {} bucket {}\n", kKinds[static_cast<int>(command.kind)],
                       kObjects[static_cast<int>(command.object)], command.address.to_string(), command.bucket);
  }

  bool deaf_empty() {
    MutexGuard guard(card_.mutex);
    return deaf_.empty();
  }

  void check_not_deaf(const TestCard& card) {
    for (const MacAddress& each : must_hear_) {
      if (card.accepts(each) || !deaf_.insert(each).second) continue;
      story_ = trace_ + each.to_string() + " went deaf\n";
    }
  }

  void step() {
    const bool multicast = chance_.one_in(2);
    const MacAddress who = address(multicast, chance_.below(10));
    AddressList& list = multicast ? dev_->mc() : dev_->uc();
    RxMode& mode = dev_->rx_mode();
    const auto op = chance_.below(16);
    {
      MutexGuard guard(card_.mutex);
      trace_ += fmt::format("step {} {}\n", op, who.to_string());
    }
    switch (op) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        (void)list.add(who);
        break;
      case 6:
      case 7:
      case 8:
      case 9:
        forget_about(who);
        (void)list.del(who);
        break;
      case 10:
        change_count(promiscuity_, [&](int by) { return mode.set_promiscuity(by); });
        break;
      case 11:
        change_count(allmulti_, [&](int by) { return mode.set_allmulti(by); });
        break;
      case 12:
        (void)dev_->set_mac_address(address(false, 20 + chance_.below(3)));
        break;
      case 13:
        (void)mode.set_vlan_filter(chance_.one_in(2));
        (void)mode.vlan_add(chance_.below(4));
        break;
      case 14:
        lose_filter();
        break;
      case 15:
        if (chance_.one_in(4)) reopen();
        break;
    }
  }

  // An address that the engine calls covered, and that stays wanted, is to be heard from now on.
  void look() {
    const bool multicast = chance_.one_in(2);
    const MacAddress who = address(multicast, chance_.below(10));
    AddressList& list = multicast ? dev_->mc() : dev_->uc();
    MutexGuard guard(card_.mutex);
    if (lost_ || !list.contains(who) || !dev_->rx_mode().covered(who)) return;
    if (heard_only_by_luck(who)) return;
    must_hear_.insert(who);
    trace_ += who.to_string() + " is covered\n";
  }

  // Covered by a flag or a bucket that is there for others, before the card was told of this address: not reported.
  bool heard_only_by_luck(const MacAddress& who) {
    const RxTicket ticket = dev_->rx_mode().ticket(who);
    return dev_->rx_mode().status().generation_programmed < ticket.generation;
  }

  void forget_about(const MacAddress& who) {
    MutexGuard guard(card_.mutex);
    must_hear_.erase(who);
  }
  template <class Change>
  void change_count(int& count, Change&& change) {
    const int by = count == 0 || chance_.one_in(2) ? 1 : -1;
    if (change(by)) count += by;
  }
  void lose_filter() {
    {
      MutexGuard guard(card_.mutex);
      lost_ = true;
      must_hear_.clear();
      card_.reset();
    }
    if (chance_.one_in(2)) dev_->lane().flush();
    MutexGuard guard(card_.mutex);
    dev_->rx_mode().card_forgot();
    lost_ = false;
  }
  void reopen() {
    {
      MutexGuard guard(card_.mutex);
      must_hear_.clear();
    }
    (void)dev_->close();
    (void)dev_->open();
  }

 private:
  Chance chance_, card_chance_;
  Net net_;
  TestCard card_;
  bool failing_ = true, lost_ = false;
  int promiscuity_ = 0, allmulti_ = 0;
  std::set<MacAddress> must_hear_, deaf_;
  std::string story_, trace_;
  NetdevPtr dev_;
};

RC_GTEST_PROP(RxModeProperty, NothingGoesDeafAndWhatIsWantedIsProgrammed, ()) {
  check_random_history<History>();
}

}  // namespace
}  // namespace usernic
