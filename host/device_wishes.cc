// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/device_wishes.h"

#include <fmt/format.h>

#include <new>
#include <utility>

namespace usernic {

DeviceWishes::DeviceWishes(NetDevice& dev, Kick& answered, const std::function<void(const std::string&)>& log)
    : dev_(dev), answered_(answered), log_(log), queue_(dev.net(), "wishes", Workqueue::kOrdered), work_([this] {
        carry_out();
      }) {}

template <class Change>
void DeviceWishes::wish(Change change) {
  {
    MutexGuard guard(lock_);
    change(wishes_);
    ++wished_;
  }
  queue_.queue(work_);
}

void DeviceWishes::wish_up(bool up) {
  wish([&](Wishes& wishes) { wishes.up = up; });
}
void DeviceWishes::wish_mtu(uint32_t mtu) {
  wish([&](Wishes& wishes) { wishes.mtu = mtu; });
}
void DeviceWishes::wish_address(const MacAddress& address) {
  wish([&](Wishes& wishes) { wishes.address = address; });
}
void DeviceWishes::wish_carrier(bool on) {
  wish([&](Wishes& wishes) { wishes.carrier = on; });
}

bool DeviceWishes::answered() const {
  MutexGuard guard(lock_);
  return done_ == wished_;
}

std::optional<RefusedWish> DeviceWishes::refused() const {
  MutexGuard guard(lock_);
  return refused_;
}

template <class What>
void DeviceWishes::check(const Result<>& result, What what) noexcept {
  if (result) return;
  try {
    RefusedWish refused{.wish = what(), .answer = result.error(), .when = Clock::now()};
    const std::string sentence =
        fmt::format("{}: the device refused \"{}\": {}", dev_.name(), refused.wish, errno_name(refused.answer));
    {
      MutexGuard guard(lock_);
      refused_ = std::move(refused);
    }
    log_(sentence);
  } catch (const std::bad_alloc&) {  // refused all the same
  }
}

// The address and the MTU are best changed before the device opens, and after it closes; the word on the carrier is
// about a device that is open.
void DeviceWishes::carry_out() {
  Wishes wishes;
  uint64_t generation;
  {
    MutexGuard guard(lock_);
    wishes = std::exchange(wishes_, {});
    generation = wished_;
  }
  if (wishes.up == false) set_up(false);
  if (wishes.address) {
    check(dev_.set_mac_address(*wishes.address), [&] { return "address " + wishes.address->to_string(); });
  }
  if (wishes.mtu) check(dev_.change_mtu(*wishes.mtu), [&] { return fmt::format("MTU {}", *wishes.mtu); });
  if (wishes.up == true) set_up(true);
  if (wishes.carrier) {
    check(dev_.change_carrier(*wishes.carrier), [&] { return *wishes.carrier ? "carrier on" : "carrier off"; });
  }
  {
    MutexGuard guard(lock_);
    done_ = generation;
  }
  answered_.kick();
}

void DeviceWishes::set_up(bool up) {
  const Result<> done = up ? dev_.open() : dev_.close();
  if (done) opened_ = up;
  check(done, [&] { return up ? "up" : "down"; });
}

void DeviceWishes::stop() {
  work_.disable_sync();
}

void DeviceWishes::undo() {
  if (std::exchange(opened_, false)) (void)dev_.close();
}

}  // namespace usernic
