// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: promiscuity and allmulti, each on or off, as a driver hears of them besides its filter.
//
//   Result<> open()                          RxMode::promisc and allmulti say what is on
//   void change_rx_flags(RxFlags changed)    these changed, and are now as RxMode::promisc and allmulti say
//   void stop()                              they say what is still on
//
// For a driver that has to pass them on: one stacked on another device (what a LowerLink follows needs no such op). It
// takes in open what is on, gives back in stop what is on, and goes by one in between: whoever switches what, and when,
// that is balanced, because on the device's lane, where all three are called, RxMode shows what the driver was told and
// not what is asked for by then. What was switched there and back before the next run is no call; what was switched
// while the device was down or failed to open, open sees; while it is detached nothing is told, and a reset tells
// nothing anew.
//
// The call comes before the driver's rx-mode call of the same run, of whatever style, and without one. On is told at
// once. Off waits until nothing is on its way to the filter any more that would go deaf (rule R2 of docs/rx-mode.md),
// so what is passed on stays as wide as the filter itself. Locks: lane, IL (requires_rtnl: rtnl too). Context: process;
// it may sleep. [kernel: ndo_change_rx_flags]
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
