// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: what must always hold of one device's rx mode, checked beside a simulated card.
//
// After every step that changed something (invariants by their numbers in ARCHITECTURE.md):
//   3  an address that was wanted and covered stays accepted by the card until it goes, the card forgets or is closed
//   -  what the engine calls covered, of what the card was told, the card accepts
//   -  outside a run: sure is on the card, and what is on the card is at least maybe (programmed = card)
//   -  a published generation was drained completely
//   1, 5 are the driver's (sim/card.h), 6 shows itself at the end.
// When changes have stopped and the card is well (`settled`):
//   2  everything wanted is accepted, nothing else is programmed exactly
//   6  nothing failed is left, and it took a bounded number of driver calls
//   -  the filter is no wider than it must be, and the own address has its slot
#pragma once

#include <map>
#include <vector>

#include "sim/card.h"
#include "sim/scheduler.h"

namespace usernic {
struct Device;
}

namespace usernic::sim {

// No entry of a device that is down and below nobody is kept unless somebody wants it.
void check_entries(NetDevice& dev);

class RxChecker {
 public:
  // `addresses`: all that the history uses. `card` and `dev` outlive it.
  RxChecker(NetDevice& dev, Card& card, std::vector<MacAddress> addresses);

  // Waits until nothing is owed, and checks. Requires: nobody changes anything any more.
  void settled();
  // After close.
  void closed() const;

 private:
  void step();
  void watch_promiscuity();
  void note_covered(bool by_flag);
  void check_never_deaf();

  Device& dev_;
  Card& card_;
  const std::vector<MacAddress> addresses_;

  struct Seen {
    uint64_t version = 0, runs = 0, published = 0, calls = 0, epoch = 0, generation = 0;
    bool up = false;
    int losses = 0;
    bool operator==(const Seen&) const = default;
  };
  Seen look() const;
  Seen seen_;
  uint64_t promiscuous_since_ = 0;            // generation of the wish for promiscuity that holds now; 0: none
  std::map<MacAddress, uint64_t> must_hear_;  // with the generation since when
  StepCheck check_;
};

}  // namespace usernic::sim
