// SPDX-License-Identifier: Apache-2.0 OR MIT
// macvlan: the switch between the macvlans of one lower device, and that device. One a device, shared by them.
//
// Who is on the port is a table that nobody changes: a new one takes its place, and the old one is freed when no
// receiver reads it any more (synchronize_rx). Readers are in an RxSection of the lower device.
#pragma once

#include <memory>
#include <vector>

#include "usernic/env.h"
#include "usernic/net_device.h"
#include "usernic/rx_handler.h"

namespace usernic {

class Macvlan;

class MacvlanPort final : public RxHandler {
 public:
  // Puts `macvlan` on the port of `lower`, which is made for the first. EADDRINUSE: one there has its address, or
  // `lower`. EINVAL: one of them is passthru. EBUSY: somebody else handles the device's frames. Locks of these: rtnl
  // held.
  static Result<MacvlanPort*> join(NetDevice& lower, Macvlan& macvlan, const MacAddress& address);
  // Returns when nobody looks at the macvlan any more. The last one that leaves frees the port.
  void leave(Macvlan& macvlan);
  Result<> change_address(Macvlan& macvlan, const MacAddress& address);

  // From below. What is for nobody here, and every multicast, goes on. A multicast from one of them was sent back by
  // somebody outside, and is given to none.
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  // As what it sends (macvlan.h).
  Features superframes() const noexcept USERNIC_NONBLOCKING override { return kSegmentation.without({Feature::kUso}); }
  // From a macvlan in bridge mode: copies of a multicast for the others, or a unicast for one of them. Returns true
  // when it was taken, and goes no further. Context: start_xmit.
  bool switch_frame(Macvlan& from, Skb& skb) noexcept USERNIC_NONBLOCKING;

 private:
  struct Station {
    MacAddress address;
    Macvlan* macvlan;
  };
  using Table = std::vector<Station>;  // by address

  MacvlanPort(NetDevice& lower);
  ~MacvlanPort() override;
  void replace(Table table);
  static Macvlan* owner_of(const Table& table, const MacAddress& address) noexcept USERNIC_NONBLOCKING;
  Macvlan* find(const Table& table, const MacAddress& to) const noexcept USERNIC_NONBLOCKING;
  Skb* copy_for(Macvlan& to, const Skb& skb) noexcept USERNIC_NONBLOCKING;

  NetDevice& lower_;
  SkbPool& copies_;             // the Net's: a copy may be in somebody's ring when the last macvlan goes
  Atomic<const Table*> table_;  // written under rtnl
};

}  // namespace usernic
