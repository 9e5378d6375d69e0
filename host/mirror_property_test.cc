// SPDX-License-Identifier: Apache-2.0 OR MIT
// Random histories of a kernel that announces some changes and not others, loses events, and is looked at by pictures
// that overlap with changes. Three things must always hold:
//
//  1. Never deaf: what the kernel has had throughout since it was wished for is not taken away.
//  2. Nothing is missed: when changes stop, a few pictures make the wishes equal to the kernel's.
//  3. What the kernel has had throughout since a moment as of which all is known is wished for.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "host/mirror.h"

namespace usernic {
namespace {

// What may be in the kernel's lists: an address, in one of the two. The lists do not care for its class.
constexpr int kEntries = 9;
constexpr MacAddress kStation = MacAddress::from_u64(0x02'00'00'00'00'00);

// Odd ones are multicast; number 0 is the own address; 8 is 2 once more.
MacAddress address_of(int n) {
  if (n == 8) n = 2;
  return MacAddress::from_u64(0x02'00'00'00'00'00 + n + (n % 2 ? 1ull << 40 : 0));
}
// 6 is a unicast address in the mc list, 7 a multicast one in the uc list, 8 in the mc list what 2 is in the uc list.
bool in_uc_list(int n) {
  return n < 6 ? n % 2 == 0 : n == 7;
}

enum class Op : int {
  kJoin,
  kLeave,
  kSilentJoin,
  kSilentLeave,
  kPromiscOn,
  kPromiscOff,
  kUp,
  kDown,
  kDeliver,
  kLoseEvents,
  kBeginPicture,
  kContinuePicture,
  kEndPicture,
  kTake,
  kCount
};

struct Step {
  Op op;
  int n;
};
[[maybe_unused]] void showValue(const Step& step, std::ostream& out) {
  static constexpr const char* kNames[] = {"join",        "leave",    "silent-join", "silent-leave", "promisc-on",
                                           "promisc-off", "up",       "down",        "deliver",      "lose",
                                           "begin",       "continue", "end",         "take"};
  out << kNames[static_cast<int>(step.op)] << " " << step.n;
}

class Kernel {
 public:
  void join(int n, bool announced, Time now) {
    if (holders_[n]++ == 0) {
      if (!has(address_of(n))) had_since[address_of(n)] = now;
      list_.push_back(n);
    }
    if (announced) events.push_back({HostEvent::Kind::kAddressAdded, address_of(n)});
  }
  void leave(int n, bool announced) {
    if (holders_[n] == 0) return;
    if (--holders_[n] == 0) {
      std::erase(list_, n);
      if (!has(address_of(n))) {
        was_absent.insert(address_of(n));
        had_since.erase(address_of(n));
      }
    }
    if (announced) events.push_back({HostEvent::Kind::kAddressDeleted, address_of(n)});
  }
  void promisc(int change) {
    if (users_ + change < 0) return;
    users_ += change;
    events.push_back({HostEvent::Kind::kLinkChanged, {}});
  }
  void set_up(bool up) {
    if (up == up_) return;
    up_ = up;
    events.push_back({HostEvent::Kind::kLinkChanged, {}});
  }
  // The kernel adds one for the unicast list, but looks at the list only while up.
  HostLink link() {
    if (up_) for_unicast_ = !uc_empty();
    return {.up = up_, .promiscuity = static_cast<uint32_t>(users_ + for_unicast_), .mtu = 1500, .address = kStation};
  }
  bool has(MacAddress address) const {
    return std::ranges::any_of(list_, [&](int n) { return address_of(n) == address; });
  }
  bool up() const { return up_; }
  bool uc_empty() const { return std::ranges::none_of(list_, in_uc_list); }
  bool wants_promisc() const { return users_ > 0; }
  // The uc list first, as in a dump.
  std::vector<MacAddress> dump() const {
    std::vector<MacAddress> addresses;
    for (int n : list_)
      if (in_uc_list(n)) addresses.push_back(address_of(n));
    for (int n : list_)
      if (!in_uc_list(n)) addresses.push_back(address_of(n));
    return addresses;
  }

  std::deque<HostEvent> events;
  std::set<MacAddress> was_absent;  // at some moment since they were wished for
  std::map<MacAddress, Time> had_since;

 private:
  std::vector<int> list_;
  std::array<int, kEntries> holders_{};
  int users_ = 0;
  bool up_ = false;
  bool for_unicast_ = false;
};

class History {
 public:
  explicit History(bool seams) : seams_(seams) {}

  void run(const Step& step) {
    now_ += std::chrono::microseconds(100);
    switch (step.op) {
      case Op::kJoin:
        kernel_.join(step.n, true, now_);
        break;
      case Op::kLeave:
        kernel_.leave(step.n, true);
        break;
      case Op::kSilentJoin:
        kernel_.join(step.n, false, now_);
        break;
      case Op::kSilentLeave:
        kernel_.leave(step.n, false);
        break;
      case Op::kPromiscOn:
        kernel_.promisc(1);
        break;
      case Op::kPromiscOff:
        kernel_.promisc(-1);
        break;
      case Op::kUp:
        kernel_.set_up(true);
        break;
      case Op::kDown:
        kernel_.set_up(false);
        break;
      case Op::kDeliver:
        deliver();
        break;
      case Op::kLoseEvents:
        lose_events();
        break;
      case Op::kBeginPicture:
        begin_picture();
        break;
      case Op::kContinuePicture:
        continue_picture(step.n);
        break;
      case Op::kEndPicture:
        end_picture();
        break;
      case Op::kTake:
        if (!picture_) take();
        break;  // one owner: it takes no wishes while it reads a picture
      case Op::kCount:
        break;
    }
  }

  // The kernel is calm from here on.
  void settle() {
    picture_.reset();
    kernel_.set_up(true);
    while (!kernel_.events.empty()) deliver();
    for (int i = 0; i < 4; ++i) {
      now_ = std::max(now_, mirror_.next_picture());
      begin_picture();
      end_picture();
    }
    take();
    std::set<MacAddress> wanted;
    for (MacAddress address : kernel_.dump())
      if (address != kStation) wanted.insert(address);
    RC_ASSERT(wished_ == wanted);
    RC_ASSERT(promiscuous_ == kernel_.wants_promisc());
    RC_ASSERT(mirror_.next_picture() > now_);
  }

 private:
  void deliver() {
    if (kernel_.events.empty()) return;
    mirror_.on_event(kernel_.events.front(), now_);
    kernel_.events.pop_front();
  }
  void lose_events() {
    if (kernel_.events.empty()) return;
    kernel_.events.clear();
    mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, now_);
  }
  void begin_picture() {
    now_ += std::chrono::microseconds(1);
    picture_ = HostPicture{.begun = now_, .before = kernel_.link()};
    if (!seams_) picture_->addresses = kernel_.dump(), picture_->uc_empty = kernel_.uc_empty();
  }
  // One message of a dump that needs several: the kernel goes on at the index where it stopped.
  void continue_picture(int count) {
    if (!picture_ || !seams_) return;
    const std::vector<MacAddress> all = kernel_.dump();
    for (int i = 0; i < count && index_ < all.size(); ++i) picture_->addresses.push_back(all[index_++]);
    picture_->whole = false;
  }
  void end_picture() {
    if (!picture_) return;
    const std::vector<MacAddress> all = kernel_.dump();
    while (seams_ && index_ < all.size()) picture_->addresses.push_back(all[index_++]);
    if (seams_) picture_->uc_empty = kernel_.uc_empty();
    picture_->after = kernel_.link();
    picture_->ended = now_ += std::chrono::microseconds(1);
    mirror_.on_picture(*picture_);
    picture_.reset();
    index_ = 0;
  }
  void take() {
    const HostWishes wishes = mirror_.take_wishes();
    for (const auto* added : {&wishes.add_unicast, &wishes.add_multicast}) {
      RC_ASSERT(std::ranges::is_sorted(*added));
      for (MacAddress address : *added) {
        RC_ASSERT(wished_.insert(address).second);
        if (kernel_.has(address))
          kernel_.was_absent.erase(address);
        else
          kernel_.was_absent.insert(address);
      }
    }
    for (const auto* deleted : {&wishes.del_unicast, &wishes.del_multicast}) {
      RC_ASSERT(std::ranges::is_sorted(*deleted));
      for (MacAddress address : *deleted) {
        RC_ASSERT(wished_.erase(address) == 1u);
        if (!seams_) RC_ASSERT(kernel_.was_absent.contains(address));
      }
    }
    promiscuous_ = wishes.promiscuous;
    for (const auto& [address, since] : kernel_.had_since) {
      if (!seams_ && address != kStation && since <= mirror_.known_as_of()) RC_ASSERT(wished_.contains(address));
    }
  }

  const bool seams_;
  Time now_{std::chrono::hours(1)};
  Kernel kernel_;
  Mirror mirror_;
  std::optional<HostPicture> picture_;
  size_t index_ = 0;
  std::set<MacAddress> wished_;
  bool promiscuous_ = false;
};

rc::Gen<std::vector<Step>> histories() {
  return rc::gen::container<std::vector<Step>>(rc::gen::construct<Step>(
      rc::gen::map(rc::gen::inRange(0, static_cast<int>(Op::kCount)), [](int op) { return static_cast<Op>(op); }),
      rc::gen::inRange(0, kEntries)));
}

RC_GTEST_PROP(MirrorProperty, IsNeverDeafAndMissesNothingWithWholePictures, ()) {
  const std::vector<Step> steps = *rc::gen::scale(4.0, histories());
  History history(false);
  for (const Step& step : steps) history.run(step);
  history.settle();
}

RC_GTEST_PROP(MirrorProperty, MissesNothingWithPicturesThatHaveSeams, ()) {
  const std::vector<Step> steps = *rc::gen::scale(4.0, histories());
  History history(true);
  for (const Step& step : steps) history.run(step);
  history.settle();
}

}  // namespace
}  // namespace usernic
