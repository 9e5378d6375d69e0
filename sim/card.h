// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: a card that is nothing but a filter, and its driver: fails in every way that a driver may report, loses its
// filter at any time, takes its time and honours a stop.
//
// There is one processor thread, so the card needs no lock; each register access is a point. The driver watches the
// contract from its side: one call at a time (invariant 1), none on a device that is down, absent, unregistered or
// freed (invariant 5), none of any kind after unregister.
#pragma once

#include <string>

#include "testing/chance.h"
#include "testing/held_filter.h"
#include "usernic/net.h"

namespace usernic::sim {

// How a card behaves; drawn once a history.
struct CardTemper {
  uint64_t transient_one_in = 0;    // 0: never. Each command; half of them did their work all the same
  uint64_t refusal_one_in = 0;      // 0: never. Each add, bucket and allmulti
  uint64_t unsupported_one_in = 0;  // 0: none. Addresses that it never takes
  uint32_t slots_missing = 0;       // in each table, fewer than it declares
  Duration latency{};               // of a driver call, at most
  bool deaf_to_stop = false;        // takes its time although it is asked to stop
};

// What its driver is [docs/driver-styles.md].
enum class CardStyle : uint8_t { kPlan, kImage, kLegacy, kKernel };

class Card : public HeldFilter {
 public:
  Card(const RxFilterCaps& caps, const CardTemper& temper, Chance chance);

  const RxFilterCaps caps;
  CardTemper temper;
  CardStyle style = CardStyle::kPlan;
  bool failing = true;  // by chance; what it cannot do it never can

  int losses = 0;        // of the filter, that the core was not told of: until then every command fails
  uint64_t version = 0;  // counts changes of what it holds
  uint64_t cleared = 0;  // how often it lost everything, whoever knew
  MacAddress own;        // the register that set_mac_address writes

  // Of its driver.
  bool in_call = false;
  uint64_t calls = 0;
  bool up = false;
  bool unregistered = false;  // set by who unregistered the device

  bool accepts(const MacAddress& address) const { return HeldFilter::accepts(address, caps); }
  bool never_takes(const MacAddress& address) const noexcept;
  void clear();

  // The filter is lost; a while later the core is told.
  void lose(NetDevice& dev);
  // Comes back from where it lost everything.
  void resume(NetDevice& dev);
  Result<> execute(const RxCommand& command);
  // Of the other styles: does a register access fail now, and does it work all the same? Is there no room, by chance?
  bool fails(bool& applied);
  bool refuses() { return failing && temper.refusal_one_in != 0 && chance_.one_in(temper.refusal_one_in); }
  size_t room() const noexcept { return caps.unicast_slots + caps.multicast_slots; }
  bool one_in(uint64_t n) { return chance_.one_in(n); }

 private:
  Result<> fate(const RxCommand& command, bool& applied);

  const uint64_t taste_;
  Chance chance_;
};

// What every driver of such a card has. Rx-mode calls are made in a CardCall.
class CardOps {
 public:
  CardOps(NetDevice& dev, Card& card) : dev_(dev), card_(card) {}
  ~CardOps();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  Result<> set_mac_address(const MacAddress& address);

 protected:
  friend class CardCall;
  void check_callable(const char* op) const;
  void check_usable() const;  // invariant 5
  // The card takes its time; true: it was asked to stop.
  bool take_time(StopToken stop) const;

  NetDevice& dev_;
  Card& card_;
};

// One driver call while it lives: no other (invariant 1).
class CardCall {
 public:
  CardCall(CardOps& ops, const char* op);
  ~CardCall() { card_.in_call = false; }
  CardCall(const CardCall&) = delete;
  CardCall& operator=(const CardCall&) = delete;

 private:
  Card& card_;
};

class CardDriver : public CardOps {
 public:
  using CardOps::CardOps;
  RxFilterCaps rx_filter_caps() const { return card_.caps; }
  uint32_t rx_hash(AddressClass c, const MacAddress& address) const {
    const RxFilterCaps& caps = card_.caps;
    return Card::hash(address) %
           (c == AddressClass::kUnicast ? caps.unicast_hash_buckets : caps.multicast_hash_buckets);
  }
  void set_rx_mode_async(RxPlan& plan);
};

// "add multicast 03:00:00:00:00:01".
std::string describe(const RxCommand& command);

}  // namespace usernic::sim
