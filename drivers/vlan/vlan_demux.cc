// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/vlan/vlan_demux.h"

#include <cstring>

namespace usernic {

Result<VlanDemux*> VlanDemux::join(NetDevice& lower, uint16_t id, NetDevice& vlan) {
  auto* demux = dynamic_cast<VlanDemux*>(rx_handler(lower, RxStage::kVlan));
  if (demux == nullptr) {
    demux = new VlanDemux;
    if (const Result<> registered = register_rx_handler(lower, RxStage::kVlan, *demux); !registered) {
      delete demux;
      return fail(registered.error());
    }
  }
  NetDevice* none = nullptr;
  if (!demux->by_id_[id].compare_exchange_strong(none, &vlan)) return fail(std::errc::file_exists);
  ++demux->vlans_;
  return demux;
}

void VlanDemux::leave(NetDevice& lower, uint16_t id) {
  by_id_[id].store(nullptr);
  synchronize_rx(lower);
  if (--vlans_ != 0) return;
  unregister_rx_handler(lower, RxStage::kVlan, *this);
  delete this;
}

// The VLAN that a frame belongs to; null for one without a tag, or with that of nobody here.
NetDevice* VlanDemux::vlan_of(const Skb& skb) const noexcept {
  if (skb.size() < kTagOffset + kTagBytes + kTypeBytes) return nullptr;
  const uint8_t* const tag = skb.data() + kTagOffset;
  if ((tag[0] << 8 | tag[1]) != kTagType) return nullptr;
  const uint16_t id = (tag[2] << 8 | tag[3]) & 0xfff;
  return id < kIds ? by_id_[id].load() : nullptr;
}

void VlanDemux::receive(SkbBatch& frames) noexcept {
  SkbBatch rest;
  SkbBatch run;  // frames of one VLAN that came after each other
  NetDevice* vlan = nullptr;
  const auto hand_over = [&]() noexcept {
    if (!run.empty()) vlan->receive(run);
  };
  while (Skb* const skb = frames.pop_front()) {
    NetDevice* const to = vlan_of(*skb);
    if (to == nullptr) {
      rest.push_back(*skb);
      continue;
    }
    if (to != vlan) hand_over();
    vlan = to;
    std::memmove(skb->data() + kTagBytes, skb->data(), kTagOffset);
    skb->pull(kTagBytes);
    run.push_back(*skb);
  }
  hand_over();
  frames.splice(rest);
}

}  // namespace usernic
