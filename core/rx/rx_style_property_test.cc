// SPDX-License-Identifier: Apache-2.0 OR MIT
// The engine's invariants in the styles other than the plan: random changes, failures, resets on real threads. The card
// checks after every register write that nothing went deaf that was covered, and at the end holds what is wanted.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <iostream>
#include <set>

#include "core/rx/random_history.h"
#include "testing/chance.h"
#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/address_list.h"
#include "usernic/hw_addr_list.h"
#include "usernic/net.h"
#include "usernic/rx_lists.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::rx_style_property_test {
namespace {

using std::chrono::milliseconds;

MacAddress address(bool multicast, uint64_t n) {
  return MacAddress::from_u64((multicast ? 0x0300'0000'0000 : 0x0200'0000'0000) | (n + 1));
}

// A filter, and who must be heard. Under its lock, the chances excepted: a leaf, for set_rx_mode comes under
// addr_list_lock.
struct Card {
  static constexpr LockClass kClass{"property_card"};
  mutable SpinLock lock{kClass};
  std::set<MacAddress> exact;
  bool promisc = false, allmulti = false;
  bool full = false;  // promiscuous by itself
  size_t slots = 0;
  bool lost = false;
  std::set<MacAddress> must_hear, deaf;
  std::set<MacAddress> twice;   // pushed although they were there
  std::set<MacAddress> strays;  // may be: pushed by a run that began, perhaps, before the filter was lost
  int losses = 0, losses_at_call = 0;
  bool strays_now = false;
  std::string trace;
  Atomic<bool> failing{true};
  Atomic<uint64_t> chance{0};

  bool one_in(uint64_t n) { return Chance(chance.fetch_add(0x9e37'79b9)).below(n) == 0; }
  bool fails() { return failing.load() && one_in(5); }
  bool accepts(const MacAddress& a) const {
    return promisc || full || (allmulti && a.is_multicast()) || exact.contains(a);
  }
  void written(std::string what) {
    trace += "  " + what + "\n";
    for (const MacAddress& each : must_hear) {
      if (!accepts(each) && deaf.insert(each).second) trace += each.to_string() + " went deaf\n";
    }
  }
  void pushed(const MacAddress& each) {
    if (!exact.insert(each).second && !strays.contains(each) && twice.insert(each).second) {
      trace += each.to_string() + " is pushed twice\n";
    }
    strays_now || losses != losses_at_call ? void(strays.insert(each)) : void(strays.erase(each));
  }
  void clear() {
    exact.clear();
    promisc = allmulti = full = false;
  }
};

struct Plain {
  explicit Plain(Card& card) : card_(card) {}
  Result<> open() { return stop(), Result<>(); }
  void stop() {
    SpinGuardBh guard(card_.lock);
    card_.clear();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }
  Card& card_;
};

struct ImageDriver : Plain {
  struct RxModeImage {
    std::array<MacAddress, 32> addresses;
    size_t count = 0;
    bool promisc = false, allmulti = false;
  };
  ImageDriver(NetDevice&, Card& card) : Plain(card) {}

  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept USERNIC_NONBLOCKING {
    image = {.promisc = lists.promisc(), .allmulti = lists.allmulti()};
    if (card_.fails()) return fail(std::errc::not_enough_memory);
    for (MacAddress each : lists.unicast()) image.addresses[image.count++] = each;
    if (!image.allmulti || !image.promisc) {
      for (MacAddress each : lists.multicast()) image.addresses[image.count++] = each;
    }
    if (image.count <= card_.slots) return {};
    if (image.promisc) return image.count = 0, Result<>();  // everything passes
    return fail(std::errc::no_space_on_device);
  }
  Result<> write_rx_mode(const RxModeImage& image) {
    SpinGuardBh guard(card_.lock);
    if (card_.lost) return fail(std::errc::io_error);
    const bool failed = card_.fails();
    if (!failed || card_.one_in(2)) {
      card_.exact = {image.addresses.begin(), image.addresses.begin() + image.count};
      card_.promisc = image.promisc;
      card_.allmulti = image.allmulti;
    }
    card_.written(fmt::format("image of {}, promisc {}, allmulti {}{}", image.count, image.promisc, image.allmulti,
                              failed ? ", says EIO" : ""));
    return failed ? fail(std::errc::io_error) : Result<>();
  }
};

struct KernelDriver : Plain {
  KernelDriver(NetDevice&, Card& card) : Plain(card) {}

  static int push(NetDevice* dev, const unsigned char* octets) {
    Card& card = static_cast<KernelDriver*>(dev->driver())->card_;
    SpinGuardBh guard(card.lock);
    if (card.lost || card.fails()) return -EIO;
    if (card.exact.size() >= card.slots) return -ENOSPC;
    card.pushed(MacAddress::from_bytes(octets));
    card.written("+" + MacAddress::from_bytes(octets).to_string());
    return 0;
  }
  static int take_back(NetDevice* dev, const unsigned char* octets) {
    Card& card = static_cast<KernelDriver*>(dev->driver())->card_;
    SpinGuardBh guard(card.lock);
    if (card.lost || card.fails()) return -EIO;
    card.exact.erase(MacAddress::from_bytes(octets));
    card.written("-" + MacAddress::from_bytes(octets).to_string());
    return 0;
  }
  int set_rx_mode_async(NetDevice* dev, HwAddrList* uc, HwAddrList* mc) {
    const bool promisc = dev->rx_mode().promisc(), allmulti = dev->rx_mode().allmulti();
    {
      SpinGuardBh guard(card_.lock);
      if (card_.lost || card_.fails()) return -EIO;
      card_.strays_now = std::exchange(card_.losses_at_call, card_.losses) != card_.losses;
      card_.promisc = promisc;
      card_.allmulti = allmulti;
      card_.written(fmt::format("promisc {}, allmulti {}", promisc, allmulti));
    }
    const int uc_error = uc->sync_dev(dev, push, take_back);
    const int mc_error = mc->sync_dev(dev, push, take_back);
    return card_.one_in(2) ? 0 : uc_error != 0 ? uc_error : mc_error;  // many drivers drop it
  }
};

// It cannot fail: what it is shown while the filter is lost is shown again.
struct LegacyDriver : Plain {
  LegacyDriver(NetDevice&, Card& card) : Plain(card) {}

  void set_rx_mode(const RxLists& lists) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    SpinGuardBh guard(card_.lock);
    if (card_.lost) return;
    card_.exact.clear();
    card_.promisc = lists.promisc();
    card_.allmulti = lists.allmulti();
    for (MacAddress each : lists.unicast()) card_.exact.insert(each);
    for (MacAddress each : lists.multicast()) card_.exact.insert(each);
    card_.full = card_.exact.size() > card_.slots;
    if (card_.full) card_.exact.clear();
    card_.written(fmt::format("{} exact, promisc {}, allmulti {}, full {}", card_.exact.size(), card_.promisc,
                              card_.allmulti, card_.full));
  }
};

template <class Driver>
class History {
 public:
  explicit History(uint64_t seed) : chance_(seed) {
    card_.chance = seed ^ 0x5eed;
    card_.slots = chance_.below(12);
    dev_ = *net_.alloc_netdev<Driver>({.name = "p0", .rx_retry = milliseconds(1)}, card_);
    (void)dev_->register_netdev();
    (void)dev_->open();
  }

  void rest() {
    if (chance_.one_in(8)) dev_->lane().flush();
  }

  void converge_and_check() {
    card_.failing = false;
    lose_filter();  // what was refused is asked again
    Result<> settled = dev_->rx_mode().settle(soon());
    if (settled) settled = settled_without_some();
    const RxModeStatus status = dev_->rx_mode().status();
    SpinGuardBh guard(card_.lock);
    const std::string told = fmt::format(
        "{}, slots {}, reason: {}, generation {} of {}, {} failed, {} uncovered, {} runs, {} calls\n{}",
        outcome(settled), card_.slots, status.reason, status.generation_programmed, status.generation_wanted,
        status.failed.size(), status.uncovered.size(), status.stats.runs, status.stats.driver_calls, card_.trace);
    if (!settled || !card_.deaf.empty()) std::cerr << told;
    RC_LOG() << told;
    RC_ASSERT(settled == Result<>());
    RC_ASSERT(card_.deaf.empty());
    RC_ASSERT(card_.twice.empty());
    RC_ASSERT(status.uncovered.empty());
    RC_ASSERT(card_.promisc == status.programmed_promisc);
    for (const auto* wanted : {&status.wanted_unicast, &status.wanted_multicast}) {
      for (const MacAddress& each : *wanted) RC_ASSERT(card_.accepts(each));
    }
    // Where everything passes, what an entry says makes no difference: it goes with the image that closes the filter.
    for (const MacAddress& each : card_.exact) {
      if (card_.promisc || (card_.allmulti && each.is_multicast())) continue;
      const auto& wanted = each.is_multicast() ? status.wanted_multicast : status.wanted_unicast;
      RC_ASSERT(std::binary_search(wanted.begin(), wanted.end(), each));
    }
  }

  void step() {
    const bool multicast = chance_.one_in(2);
    const MacAddress who = address(multicast, chance_.below(8));
    AddressList& list = multicast ? dev_->mc() : dev_->uc();
    const uint64_t op = chance_.below(16);
    {
      SpinGuardBh guard(card_.lock);
      card_.trace += fmt::format("step {} {}\n", op, who.to_string());
      if (op >= 6 && op < 10) card_.must_hear.erase(who);
    }
    if (op < 6) {
      (void)list.add(who);
    } else if (op < 10) {
      (void)list.del(who);
    } else if (op < 12) {
      int& count = op == 10 ? promiscuity_ : allmulti_;
      const int by = count == 0 || chance_.one_in(2) ? 1 : -1;
      count += by;
      (void)(op == 10 ? dev_->rx_mode().set_promiscuity(by) : dev_->rx_mode().set_allmulti(by));
    } else if (op == 12) {
      (void)dev_->set_mac_address(address(false, 20 + chance_.below(3)));
    } else if (op == 13) {
      lose_filter();
    } else if (op == 14 && chance_.one_in(4)) {
      {
        SpinGuardBh guard(card_.lock);
        card_.must_hear.clear();
      }
      (void)dev_->close();
      (void)dev_->open();
    } else {
      chance_.one_in(2) ? dev_->rx_mode().call_soon() : dev_->rx_mode().retry_now();
    }
  }

  // Nobody is to find a last address on the card just because the filter was new.
  Result<> settled_without_some() {
    for (uint64_t n = 0; n < 4; ++n) {
      for (const bool multicast : {false, true}) {
        {
          SpinGuardBh guard(card_.lock);
          card_.must_hear.erase(address(multicast, n));
        }
        while ((multicast ? dev_->mc() : dev_->uc()).del(address(multicast, n))) {
        }
      }
    }
    return dev_->rx_mode().settle(soon());
  }

  // An address that the engine calls covered, and that stays wanted, is to be heard from now on.
  void look() {
    const bool multicast = chance_.one_in(2);
    const MacAddress who = address(multicast, chance_.below(8));
    RxMode& mode = dev_->rx_mode();
    // Only this thread loses filters and takes addresses away, so what is seen here still holds under the lock.
    if (mode.status().generation_programmed < mode.ticket(who).generation) return;  // heard by luck, perhaps
    if (!(multicast ? dev_->mc() : dev_->uc()).contains(who) || !mode.covered(who)) return;
    SpinGuardBh guard(card_.lock);
    card_.must_hear.insert(who);
    card_.trace += who.to_string() + " is covered\n";
  }

  void lose_filter() {
    {
      SpinGuardBh guard(card_.lock);
      card_.lost = true;
      card_.must_hear.clear();
      card_.clear();
      ++card_.losses;
    }
    if (chance_.one_in(2)) dev_->lane().flush();
    SpinGuardBh guard(card_.lock);
    card_.trace += "the filter is lost\n";
    dev_->rx_mode().card_forgot();
    card_.lost = false;
  }

 private:
  Chance chance_;
  Net net_;
  Card card_;
  int promiscuity_ = 0, allmulti_ = 0;
  NetdevPtr dev_;
};

RC_GTEST_PROP(RxStyleProperty, AnImageDeafensNobodyAndEndsAsWanted, ()) {
  check_random_history<History<ImageDriver>>();
}
RC_GTEST_PROP(RxStyleProperty, ALegacyDriverDeafensNobodyAndEndsAsWanted, ()) {
  check_random_history<History<LegacyDriver>>();
}
RC_GTEST_PROP(RxStyleProperty, AKernelStyleDriverDeafensNobodyAndEndsAsWanted, ()) {
  check_random_history<History<KernelDriver>>();
}

}  // namespace
}  // namespace usernic::rx_style_property_test

USERNIC_UNSEEN_BY_CLANG_END
