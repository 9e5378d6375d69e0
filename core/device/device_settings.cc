// SPDX-License-Identifier: Apache-2.0 OR MIT
// What is changed of a device that is registered: MTU, address, carrier, features, and what its ioctls change.
#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/device_features.h"
#include "core/device/device_op.h"
#include "usernic/ioctl.h"

namespace usernic {

Result<> NetDevice::change_mtu(uint32_t mtu, Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  if (mtu == dev.mtu()) return {};
  if (mtu < dev.mtu_min_ || mtu > dev.mtu_max_) return fail(std::errc::invalid_argument);
  if (const Result<> allowed = ask(dev, NetdevEvent::kPreChangeMtu); !allowed) return allowed;
  dev.frame_limit.expect(mtu);
  if (const Result<> changed = call_ndo<Ndo::kChangeMtu>(dev, mtu); !changed) return changed;
  dev.frame_limit.set_mtu(mtu);
  (void)notify(dev, NetdevEvent::kChangeMtu);
  return {};
}

Result<> NetDevice::set_mac_address(const MacAddress& address, Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  if (!address.is_valid_own()) return fail(std::errc::address_not_available);
  if (address == dev.address()) return {};
  if (!has_ndo<Ndo::kSetMacAddress>(dev)) return fail(std::errc::operation_not_supported);
  if (!dev.engine.wanted.reserve({.entries = 2}))
    return fail(std::errc::not_enough_memory);  // before the driver has changed it
  if (const Result<> allowed = ask(dev, NetdevEvent::kPreChangeAddr); !allowed) return allowed;
  if (const Result<> set = call_ndo<Ndo::kSetMacAddress>(dev, address); !set) return set;
  dev.own_addresses_.set(0, address.octets.data(), address.octets.size(), where);
  (void)notify(dev, NetdevEvent::kChangeAddr);
  return {};
}

Result<> NetDevice::change_carrier(bool on, Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  return call_ndo<Ndo::kChangeCarrier>(dev, on);
}

Result<> NetDevice::change_features(Features wanted, Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  const Features before = dev.features();
  if (const Result<> changed = change_features_locked(dev, wanted); !changed) return changed;
  if (dev.features() != before) (void)notify(dev, NetdevEvent::kChangeFeatures);
  return {};
}

Result<> private_ioctl(NetDevice& net_device, uint32_t command, std::span<std::byte> data) {
  constexpr uint32_t kCommands = 16;  // [kernel: SIOCDEVPRIVATE .. SIOCDEVPRIVATE + 15]
  if (command >= kCommands) return fail(std::errc::invalid_argument);
  Device& dev = Device::of(net_device);
  OpLocks locks(dev, Place::current());
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  return call_ndo<Ndo::kPrivateIoctl>(dev, command, data);
}

Result<> mii_ioctl(NetDevice& net_device, MiiRequest& request) {
  constexpr uint16_t kAddresses = 32;
  if (request.phy >= kAddresses || request.register_ >= kAddresses) return fail(std::errc::invalid_argument);
  Device& dev = Device::of(net_device);
  OpLocks locks(dev, Place::current());
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  return call_ndo<Ndo::kMiiIoctl>(dev, request);
}

}  // namespace usernic
