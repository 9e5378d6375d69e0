// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a network adapter in software: a Model with a cable at its other end, and a filter that can be looked at.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bus/usb/model.h"
#include "usernic/mac_address.h"

namespace usernic::usb {

// The far end of the adapter's cable.
class Cable {
 public:
  // A frame that the adapter sent; valid during the call. Context: process, no locks.
  virtual void hear(std::span<const uint8_t> frame) noexcept = 0;

 protected:
  ~Cable() = default;
};

// What an adapter receives, as it was told.
struct NicFilter {
  bool receiving = false;  // the receiver is on
  MacAddress own;
  bool directed = false;  // frames to `own`
  bool broadcast = false, allmulti = false, promisc = false;
  std::vector<MacAddress> unicast, multicast;  // one by one
  std::vector<uint8_t> hash;  // buckets that are let through: bit n of octet n / 8; empty: there are none
  bool vlan_filter = false;   // of tagged frames, those of `vlans`; else all
  std::vector<uint16_t> vlans;
  uint32_t accept = 0;  // the adapter's own word for it

  bool operator==(const NicFilter&) const = default;
};

class NicModel : public Model {
 public:
  // The cable outlives the model, or is taken off first (null). Context: process.
  virtual void connect_cable(Cable* cable) = 0;
  // A frame from the cable. True: on its way to the host. Context: process or BH.
  virtual bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING = 0;
  virtual void set_link(bool up) = 0;
  virtual NicFilter filter() const = 0;
};

}  // namespace usernic::usb
