// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of the mirror: a kernel that the test plays by hand.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "host/mirror.h"

namespace usernic {

inline constexpr MacAddress kOwn = MacAddress::from_u64(0x02'00'00'00'00'01);
constexpr MacAddress uc(uint64_t n) {
  return MacAddress::from_u64(0x02'00'00'01'00'00 + n);
}
constexpr MacAddress mc(uint64_t n) {
  return MacAddress::from_u64(0x01'00'5e'00'00'00 + n);
}
using Addresses = std::vector<MacAddress>;

// A kernel that the test plays by hand: it owns the time, the lists and the link.
class MirrorTest : public testing::Test {
 protected:
  void advance(Duration by) { now_ += by; }
  void event(HostEvent::Kind kind, MacAddress address = {}) { mirror_.on_event({kind, address}, now_); }
  void added(MacAddress address) { event(HostEvent::Kind::kAddressAdded, address); }
  void deleted(MacAddress address) { event(HostEvent::Kind::kAddressDeleted, address); }

  HostPicture begin_picture() {
    advance(std::chrono::microseconds(1));
    return {.begun = now_, .before = link_, .after = link_, .addresses = lists_, .uc_empty = uc_empty_};
  }
  void end_picture(HostPicture picture) {
    advance(cost_);
    picture.ended = now_;
    mirror_.on_picture(picture);
  }
  void picture() { end_picture(begin_picture()); }
  void picture_with_seams() {
    HostPicture picture = begin_picture();
    picture.whole = false;
    end_picture(picture);
  }
  HostWishes take() { return mirror_.take_wishes(); }
  // Time from the end of the last picture to the next.
  Duration until_next() const { return mirror_.next_picture() - now_; }

  Time now_{std::chrono::hours(1)};
  Duration cost_ = std::chrono::microseconds(80);
  HostLink link_{.up = true, .mtu = 1500, .address = kOwn, .carrier = true};
  Addresses lists_;
  std::optional<bool> uc_empty_ = true;
  Mirror mirror_;
};

}  // namespace usernic
