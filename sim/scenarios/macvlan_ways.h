// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: macvlans of one device, and where a frame among them has to go, by the rules of drivers/macvlan/README.md.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "drivers/macvlan/macvlan.h"
#include "sim/scenarios/traffic.h"
#include "usernic/port.h"

namespace usernic::sim {

inline constexpr MacAddress kBroadcast = MacAddress::from_u64(0xffff'ffff'ffff);

struct CountingPort final : DevicePort {
  uint64_t frames = 0;
  bool closed = false;  // its device is, for whoever comes now
  void receive(SkbBatch& batch) noexcept override {
    expect(!closed, "frame-after-close", "a frame is handed up by a device that was closed");
    frames += batch.size();
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
};

// One macvlan. Whoever works on it keeps it, also when it is unregistered meanwhile.
struct Seat {
  const MacvlanMode mode;
  const NetdevPtr dev;
  CountingPort port;
  uint64_t sent = 0;
  uint32_t promiscuity = 0, allmulti = 0;  // its users'

  Seat(Net& net, NetDevice& lower, MacvlanMode the_mode, const MacAddress& address)
      : mode(the_mode), dev(*Macvlan::probe(net, {.name = "mv%d", .address = address}, lower, mode)) {}
  ~Seat() { dev->detach_port(); }
  bool wants(const MacAddress& address) const {
    return (address.is_multicast() ? dev->mc() : dev->uc()).contains(address);
  }
};
using Seats = std::vector<std::shared_ptr<Seat>>;  // null: nobody sits there

// Where one frame ends up.
struct Way {
  std::multiset<size_t> seats;  // by their places
  bool beyond = false;          // on the wire, or, if it came from there, at the lower device's own port
  bool operator==(const Way&) const = default;
};

// Requires of all: nobody changes anything, and every seat's own filter has settled.
class MacvlanWays {
 public:
  MacvlanWays(const Seats& seats, const NetDevice& lower, bool passthru)
      : seats_(seats), lower_(lower), passthru_(passthru) {}

  bool up(size_t place) const { return seats_[place] != nullptr && seats_[place]->dev->running(); }
  Way from_wire(const Header& header) const;
  // Requires: it is up.
  Way from_seat(size_t from, const Header& header) const;

 private:
  bool accepts(size_t place, const MacAddress& group) const;
  size_t owner(const MacAddress& address) const;

  const Seats& seats_;
  const NetDevice& lower_;
  const bool passthru_;
};

}  // namespace usernic::sim
