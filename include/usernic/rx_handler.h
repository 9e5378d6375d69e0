// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: who looks at a device's received frames before the port does: the upper devices on it.
//
//   Napi::receive, NetDevice::receive --> kVlan handler --> kUpper handler --> port
//
// A handler takes out of the batch what is its own and leaves the rest, in order. One a stage and device: VLANs share
// a handler, and so do the macvlans of one device; a bond has its own. What handlers look up while they run stays
// valid as in an RCU section: take it out of the tables first, `synchronize_rx`, then free it.
// [kernel: netdev_rx_handler_register, vlan_do_receive, synchronize_net]
#pragma once

#include <cstdint>

#include "usernic/error.h"
#include "usernic/skb.h"

namespace usernic {

struct NetDevice;

enum class RxStage : uint8_t { kVlan, kUpper };

class RxHandler {
 public:
  // Context: BH, in an RxSection of the device. Must not sleep, nor send on a device that is above this one.
  virtual void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  virtual ~RxHandler() = default;
};

// Locks of these: rtnl held. Context: process.
// EBUSY: there is another one.
Result<> register_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler);
// Returns when nobody is in it any more. Nothing when it is not registered: a device that is unregistered has none.
void unregister_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler);
RxHandler* rx_handler(const NetDevice& dev, RxStage stage) noexcept;

// Returns when every RxSection of `dev` that began before has ended. Locks: rtnl held. Context: process.
void synchronize_rx(NetDevice& dev);

// For who reads a handler's tables without being called by the device: while one lives, synchronize_rx waits for it.
// Context: any but hard irq; bounded, as in BH.
class RxSection {
 public:
  explicit RxSection(NetDevice& dev) noexcept USERNIC_NONBLOCKING;
  ~RxSection() noexcept USERNIC_NONBLOCKING;
  RxSection(const RxSection&) = delete;
  RxSection& operator=(const RxSection&) = delete;

 private:
  NetDevice& dev_;
  const uint32_t phase_;
};

}  // namespace usernic
// Explained best by: core/device/rx_handler_test.cc
