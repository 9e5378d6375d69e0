// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: requests that only some drivers know.
//
// The driver's op is called under lane, rtnl and instance lock (IL). Context: process, no locks. Errors: ENODEV, not
// registered or not present; EOPNOTSUPP, the driver has no such op; else the driver's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "usernic/error.h"

namespace usernic {

struct NetDevice;

// One register of one transceiver [IEEE 802.3 clause 22; kernel: SIOCGMIIPHY, SIOCGMIIREG, SIOCSMIIREG].
struct MiiRequest {
  enum class What : uint8_t { kWhichPhy, kRead, kWrite };
  What what = What::kRead;
  uint16_t phy = 0;        // 0..31; filled in by kWhichPhy
  uint16_t register_ = 0;  // 0..31
  uint16_t value = 0;      // filled in by kRead
};

// A request of the driver's own: it reads and writes `data` in place [kernel: SIOCDEVPRIVATE + command].
// EINVAL: a command above 15.
Result<> private_ioctl(NetDevice& dev, uint32_t command, std::span<std::byte> data);
// EINVAL: a phy or register above 31.
Result<> mii_ioctl(NetDevice& dev, MiiRequest& request);

}  // namespace usernic
// Explained best by: core/device/ethtool_test.cc
