// SPDX-License-Identifier: Apache-2.0 OR MIT
// vlan: hands the tagged frames of one device to the VLANs on it. One a device, shared by them.
#pragma once

#include <array>
#include <memory>

#include "usernic/env.h"
#include "usernic/net_device.h"
#include "usernic/rx_handler.h"

namespace usernic {

class VlanDemux final : public RxHandler {
 public:
  static constexpr uint16_t kIds = 4095;        // 0 .. 4094
  static constexpr uint32_t kTagBytes = 4;      // type 0x8100, then priority and id
  static constexpr uint32_t kTagOffset = 12;    // behind both addresses
  static constexpr uint32_t kTypeBytes = 2;     // of what is inside: without one it is no frame
  static constexpr uint16_t kTagType = 0x8100;  // [802.1Q: TPID of a C-tag]

  // Makes `vlan` the receiver of `id` on `lower`. EEXIST: there is one. EBUSY: somebody else handles its tags.
  // The last one that leaves frees it. Locks: rtnl held.
  static Result<VlanDemux*> join(NetDevice& lower, uint16_t id, NetDevice& vlan);
  // Returns when no frame is on its way to the VLAN any more. Locks: rtnl held.
  void leave(NetDevice& lower, uint16_t id);

  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  Features superframes() const noexcept USERNIC_NONBLOCKING override { return kSegmentation; }

 private:
  VlanDemux() = default;
  ~VlanDemux() override = default;
  NetDevice* vlan_of(const Skb& skb) const noexcept USERNIC_NONBLOCKING;

  uint32_t vlans_ = 0;  // under rtnl
  std::array<Atomic<NetDevice*>, kIds> by_id_{};
};

}  // namespace usernic
