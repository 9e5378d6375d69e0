// SPDX-License-Identifier: Apache-2.0 OR MIT
// packet: what the device receives of all that its interface does.
//
// An interface receives for everybody who uses it: its own stack, other packet sockets. So what the memberships asked
// for is not all that comes, and each frame is looked at.
//
// Locks: none, a value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "usernic/annotations.h"
#include "usernic/mac_address.h"

namespace usernic::packet {

class Filter {
 public:
  bool promisc = false;
  bool allmulti = false;
  MacAddress own;

  bool has(const MacAddress& address) const noexcept USERNIC_NONBLOCKING {
    return std::ranges::binary_search(listed_, address.to_u64());
  }
  // Of one that it has not / has.
  void add(const MacAddress& address) {
    listed_.insert(std::ranges::lower_bound(listed_, address.to_u64()), address.to_u64());
  }
  void del(const MacAddress& address) { std::erase(listed_, address.to_u64()); }

  // Unicast and multicast, in order.
  const std::vector<uint64_t>& listed() const noexcept { return listed_; }

  // `frame` begins with the address that it is for.
  bool passes(std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING {
    if (frame.size() < sizeof(MacAddress)) return false;
    const MacAddress to = MacAddress::from_bytes(frame.data());
    if (promisc || to == own || to.is_broadcast()) return true;
    if (to.is_multicast() && allmulti) return true;
    return has(to);
  }

 private:
  std::vector<uint64_t> listed_;
};

}  // namespace usernic::packet
// Explained best by: drivers/packet/filter_test.cc
