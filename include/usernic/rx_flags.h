// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: promiscuity and allmulti, each on or off, as a driver is told of them besides its filter.
//
//   Result<> open()                          RxMode::promisc and allmulti say what is on
//   void change_rx_flags(RxFlags changed)    these changed; RxMode::promisc and allmulti say what is on now
//   void stop()                              they say what is still on
//
// A driver that is stacked on another device by hand passes the flags on. (A device with a LowerLink needs no such op.)
// `open` passes on what is on, `change_rx_flags` what changed, `stop` takes back what is still on. That is balanced
// whoever switches what, and when: all three run on the device's lane, where RxMode shows what the driver was told, and
// not what is wanted by then.
//
// A flag that was switched there and back before the next run is no call. A flag that was switched while the device was
// down, or failed to open, is seen by `open`. A detached device is told nothing. A reset tells nothing anew.
//
// The call comes before the driver's rx-mode call of the same run; there may be none of these. "On" is told at once.
// "Off" waits until no address would go deaf by it (rule R2 of docs/rx-mode.md), so what is passed on stays as wide
// as the filter itself. Locks: lane, instance lock (IL); with requires_rtnl also rtnl. Context: process.
// [kernel: ndo_change_rx_flags]
#pragma once

namespace usernic {

struct RxFlags {
  bool promisc = false;
  bool allmulti = false;

  bool operator==(const RxFlags&) const = default;
  bool any() const noexcept { return promisc || allmulti; }
  RxFlags operator|(const RxFlags& other) const noexcept {
    return {promisc || other.promisc, allmulti || other.allmulti};
  }
  RxFlags operator^(const RxFlags& other) const noexcept {
    return {promisc != other.promisc, allmulti != other.allmulti};
  }
};

}  // namespace usernic
// Explained best by: core/rx/rx_flags_test.cc
