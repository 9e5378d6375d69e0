// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: a device with a simulated card and its checkers, and random users of it: what the rx-mode models share.
//
// Each user is a fiber with chance of its own. Which operations a history has at all is drawn first, so that some have
// few and these often; a mix of everything hides what two things do to each other.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/card.h"
#include "sim/checkers.h"
#include "testing/chance.h"
#include "usernic/address_list.h"
#include "usernic/net.h"

namespace usernic::sim {

struct RxWorldConfig {
  RxFilterCaps caps;
  CardTemper temper;
  CardStyle style = CardStyle::kPlan;
  uint32_t addresses = 4;  // of each class
  bool open = true;
};

// Temper of a card, and all of it, as the history may meet it. Promisc always works in the end: the last way in.
CardTemper random_temper(Chance& chance);
RxWorldConfig random_world(Chance& chance);

class RxWorld {
 public:
  RxWorld(const RxWorldConfig& config, Chance chance);
  RxWorld(const RxWorldConfig& config, Chance chance, Net& net);  // one of several in a Net
  ~RxWorld();

  NetDevice& dev() { return *dev_; }
  Card& card() { return card_; }
  Net& net() { return net_; }
  RxChecker& checker() { return checker_; }
  const std::vector<MacAddress>& addresses() const { return addresses_; }
  MacAddress any_address(Chance& chance) const { return addresses_[chance.below(addresses_.size())]; }
  AddressList& list_of(const MacAddress& address) { return address.is_multicast() ? dev_->mc() : dev_->uc(); }

  // Users. Each does `steps` things at random.
  void change(Chance chance, int steps);  // adds, deletes, promiscuity, allmulti
  void filter_vlans(Chance chance, int steps);
  void change_own(Chance chance, int steps);
  void reset(Chance chance, int steps);     // the card loses its filter
  void reopen(Chance chance, int steps);    // close, open, detach, attach
  void wait_for(Chance chance, int steps);  // tickets
  void read(Chance chance, int steps);

  // The end of most histories: no more changes, everything checked, and the device taken down.
  void converge();
  void bring_up();  // the first part of it: present, and open
  // Takes entries away until `left` of each class are wanted.
  void thin_out(size_t left);
  void unregister();

  static constexpr MacAddress own(uint64_t n) { return MacAddress::from_u64(0x0200'0000'0100 + n); }

 private:
  RxWorld(const RxWorldConfig& config, Chance chance, std::unique_ptr<Net> own_net, Net* net);

  const std::vector<MacAddress> addresses_;
  Card card_;
  const std::unique_ptr<Net> own_net_;
  Net& net_;
  NetdevPtr dev_;
  RxChecker checker_;
};

// Runs each body as a fiber, until all have ended.
void together(std::vector<std::pair<const char*, std::function<void()>>> bodies);

}  // namespace usernic::sim
