// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: RX handlers, by which upper devices get a device's received frames before the port does.
//
//   Napi::receive, NetDevice::receive --> kVlan handler --> kUpper handler --> port
//
// A handler takes its frames out of the batch and leaves the rest, in order. A device has one handler a stage: its
// VLANs share one, and so do its macvlans; a bond has its own. What a handler looks up stays valid while it runs, as in
// an RCU section: take it out of the tables, call `synchronize_rx`, then free it. [kernel: netdev_rx_handler_register,
// vlan_do_receive, synchronize_net]
#pragma once

#include <cstdint>

#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

struct NetDevice;

enum class RxStage : uint8_t { kVlan, kUpper };

class RxHandler {
 public:
  // Must not sleep, nor send on a device that is above this one. Context: BH, in an RxSection of the device.
  virtual void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING = 0;
  // The superframes that it takes, as a port says it (port.h); who takes none gets no frame whose sum is needed.
  virtual Features superframes() const noexcept USERNIC_NONBLOCKING { return {}; }

 protected:
  virtual ~RxHandler() = default;
};

// Locks of these: rtnl held. Context: process.
// EBUSY: the device has one for this stage.
Result<> register_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler);
// Returns when no call of it runs any more. Nothing when it is not registered: unregistering a device takes it off.
void unregister_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler);
RxHandler* rx_handler(const NetDevice& dev, RxStage stage) noexcept;

// Returns when every RxSection of `dev` that began before has ended. Locks: rtnl held. Context: process.
void synchronize_rx(NetDevice& dev, Place where = Place::current());

// For code that reads a handler's tables without being called by the device: synchronize_rx waits for it. The section
// is bounded, as one with BHs disabled. Context: any but hard irq.
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
