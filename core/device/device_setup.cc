// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a device is, until it is registered.
#include <new>

#include "core/device/device.h"
#include "core/device/net_impl.h"

namespace usernic {
namespace {

Result<> check_new(const Device& dev) {
  return dev.reg_state_.load() == RegState::kUninitialized ? Result<>() : fail(std::errc::device_or_resource_busy);
}

// Its own, from register_netdev on.
bool has_name(Device& dev) {
  MutexGuard names(dev.net_ref.impl().names_lock);
  const auto it = dev.net_ref.impl().names.find(dev.name());
  return it != dev.net_ref.impl().names.end() && it->second == &dev;
}

}  // namespace

Result<> NetDevice::set_name(std::string_view name) {
  Device& dev = Device::of(*this);
  if (const Result<> allowed = check_new(dev); !allowed) return allowed;
  if (!is_device_name(name)) return fail(std::errc::invalid_argument);
  if (has_name(dev)) return fail(std::errc::device_or_resource_busy);
  try {
    std::string taken(name);
    SpinGuard guard(dev.name_lock);
    dev.name_ = std::move(taken);
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
  return {};
}

Result<> NetDevice::set_mtu(uint32_t mtu, uint32_t mtu_min, uint32_t mtu_max) {
  Device& dev = Device::of(*this);
  if (const Result<> allowed = check_new(dev); !allowed) return allowed;
  if (mtu < mtu_min || mtu > mtu_max) return fail(std::errc::invalid_argument);
  dev.mtu_min_ = mtu_min;
  dev.mtu_max_ = mtu_max;
  dev.frame_limit.expect(mtu);
  dev.frame_limit.set_mtu(mtu);
  return {};
}

Result<> NetDevice::set_tx_queues(uint16_t count) {
  Device& dev = Device::of(*this);
  if (const Result<> allowed = check_new(dev); !allowed) return allowed;
  if (count == 0) return fail(std::errc::invalid_argument);
  if (!dev.engine.wanted.lowers.empty()) return fail(std::errc::device_or_resource_busy);  // they look at its queues
  const size_t before = dev.tx_queues.size();
  try {
    while (dev.tx_queues.size() < count) dev.tx_queues.emplace_back(dev, static_cast<uint16_t>(dev.tx_queues.size()));
  } catch (const std::bad_alloc&) {
    while (dev.tx_queues.size() > before) dev.tx_queues.pop_back();
    return fail(std::errc::not_enough_memory);
  }
  while (dev.tx_queues.size() > count) dev.tx_queues.pop_back();
  return {};
}

}  // namespace usernic
