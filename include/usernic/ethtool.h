// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a driver says of itself and its card [kernel: ethtool_ops].
//
// A driver has a member for each of these that it knows (driver.h); it fills in its argument. A function here asks:
//
//   Result<> get_link_settings(LinkSettings& link) { link.speed_mbps = 100; return {}; }
//   const Result<LinkSettings> link = link_settings(dev);
//
// The driver's member is called under the instance lock (IL), without rtnl. Context: process, no locks. Errors: ENODEV,
// not registered or not present; EOPNOTSUPP, the driver has no such member; else the driver's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "usernic/error.h"

namespace usernic {

struct NetDevice;

struct DriverInfo {
  std::string driver;  // filled in before the driver is asked
  std::string version, firmware;
  std::string bus;  // where the card is: "usb:1-2"
};

enum class Duplex : uint8_t { kUnknown, kHalf, kFull };
struct LinkSettings {
  uint32_t speed_mbps = 0;  // 0: unknown
  Duplex duplex = Duplex::kUnknown;
  bool autoneg = false;
  std::string port;  // "twisted pair"
};

// Descriptors, each way, and the most that there can be.
struct RingParam {
  uint32_t rx = 0, tx = 0;
  uint32_t rx_max = 0, tx_max = 0;
};

// How long an interrupt waits after a first frame, and for how many frames; 0: it does not wait.
struct Coalesce {
  uint32_t rx_usecs = 0, rx_frames = 0;
  uint32_t tx_usecs = 0, tx_frames = 0;
};

struct NamedCounter {
  std::string name;
  uint64_t value = 0;
};

struct RegisterValue {
  std::string name;
  uint32_t offset = 0;
  uint64_t value = 0;
};

Result<DriverInfo> driver_info(NetDevice& dev);
Result<LinkSettings> link_settings(NetDevice& dev);
Result<RingParam> ring_param(NetDevice& dev);
Result<Coalesce> coalesce(NetDevice& dev);
Result<> set_coalesce(NetDevice& dev, const Coalesce& wish);
Result<std::vector<NamedCounter>> named_counters(NetDevice& dev);
Result<std::vector<RegisterValue>> register_dump(NetDevice& dev);

}  // namespace usernic
// Explained best by: core/device/ethtool_test.cc
