// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/scenarios/macvlan_ways.h"

#include "usernic/rx_mode.h"

namespace usernic::sim {

bool MacvlanWays::accepts(size_t place, const MacAddress& group) const {
  if (!up(place)) return false;
  const RxModeStatus status = seats_[place]->dev->rx_mode().status();
  return group == kBroadcast || status.promiscuity != 0 || status.allmulti != 0 || seats_[place]->wants(group);
}

// Whose own address it is; else, of those that list it, who has the lowest own address; seats_.size(): nobody's.
size_t MacvlanWays::owner(const MacAddress& address) const {
  size_t found = seats_.size();
  for (size_t i = 0; i < seats_.size(); ++i) {
    if (seats_[i] != nullptr && seats_[i]->dev->address() == address) return i;
  }
  if (address == lower_.address()) return found;
  for (size_t i = 0; i < seats_.size(); ++i) {
    if (!up(i) || !seats_[i]->wants(address)) continue;
    if (found == seats_.size() || seats_[i]->dev->address() < seats_[found]->dev->address()) found = i;
  }
  return found;
}

Way MacvlanWays::from_wire(const Header& header) const {
  Way way;
  if (header.to.is_multicast() && !passthru_) {
    way.beyond = true;
    const auto sent_it = [&](const auto& seat) { return seat != nullptr && seat->dev->address() == header.from; };
    if (std::ranges::any_of(seats_, sent_it)) return way;  // somebody outside sent it back
    for (size_t i = 0; i < seats_.size(); ++i) {
      if (accepts(i, header.to)) way.seats.insert(i);
    }
    return way;
  }
  const size_t to = passthru_ ? 0 : owner(header.to);
  way.beyond = to == seats_.size() || !up(to);
  if (!way.beyond) way.seats.insert(to);
  return way;
}

Way MacvlanWays::from_seat(size_t from, const Header& header) const {
  if (seats_[from]->mode != MacvlanMode::kBridge) return {.beyond = true};
  Way way;
  const auto bridged = [&](size_t to) { return to != from && seats_[to]->mode == MacvlanMode::kBridge; };
  if (header.to.is_multicast()) {
    way.beyond = true;
    for (size_t i = 0; i < seats_.size(); ++i) {
      if (accepts(i, header.to) && bridged(i)) way.seats.insert(i);
    }
    return way;
  }
  const size_t to = owner(header.to);
  way.beyond = to == seats_.size() || !bridged(to);
  if (!way.beyond && up(to)) way.seats.insert(to);  // one that is down drops it
  return way;
}

}  // namespace usernic::sim
