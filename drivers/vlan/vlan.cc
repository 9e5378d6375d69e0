// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/vlan/vlan.h"

#include <algorithm>
#include <cstring>

#include "drivers/vlan/vlan_demux.h"
#include "usernic/frame_tap.h"
#include "usernic/rx_mode.h"

namespace usernic {

Result<NetdevPtr> Vlan::probe(Net& net, NetdevConfig config, NetDevice& lower, uint16_t id) {
  if (id >= VlanDemux::kIds) return fail(std::errc::result_out_of_range);
  if (config.address.is_zero()) config.address = lower.address();
  config.mtu = std::min(config.mtu, lower.mtu());
  return net.alloc_netdev<Vlan>(config, lower, id);
}

Vlan::Vlan(NetDevice& dev, NetDevice& lower, uint16_t id)
    : dev_(dev),
      lower_(lower),
      id_(id),
      changed_([this] { lower_changed(); }, &dev),
      link_(dev, dev.lane(), changed_, VlanIds::kInner) {}

Result<> Vlan::init() {
  dev_.carrier_off();
  if (const Result<> linked = link_.link(*lower_); !linked) return linked;
  const Result<VlanDemux*> demux = VlanDemux::join(*lower_, id_, dev_);
  const Result<> passed = demux ? lower_->rx_mode().vlan_add(id_) : fail(demux.error());
  if (passed) {
    demux_ = *demux;
    dev_.lane().queue(changed_);  // the lower device may have changed since `probe` looked
    return {};
  }
  if (demux) (*demux)->leave(*lower_, id_);
  link_.unlink();
  return passed;
}

void Vlan::uninit() {
  demux_->leave(*lower_, id_);
  (void)lower_->rx_mode().vlan_del(id_);  // ENODEV: the filter went with the device
}

Result<> Vlan::open() {
  link_.activate();
  dev_.tx_queue(0).start();
  dev_.lane().queue(changed_);
  return {};
}

void Vlan::stop() {
  link_.deactivate();
  dev_.carrier_off();
  synchronize_rx(*lower_);  // whoever saw it running has delivered
}

NetdevTx Vlan::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  constexpr uint32_t kTag = VlanDemux::kTagBytes;
  constexpr uint32_t kOffset = VlanDemux::kTagOffset;
  if (skb.headroom() < kTag || skb.size() < kOffset) return drop_in_xmit(skb, queue, "there is no room for a tag");
  uint8_t* const start = skb.push(kTag);
  std::memmove(start, start + kTag, kOffset);
  const uint8_t tag[kTag] = {VlanDemux::kTagType >> 8, VlanDemux::kTagType & 0xff, static_cast<uint8_t>(id_ >> 8),
                             static_cast<uint8_t>(id_)};
  std::memcpy(start + kOffset, tag, kTag);
  return link_.xmit(skb, queue);
}

Result<> Vlan::change_mtu(uint32_t mtu) {
  return mtu > mtu_below(dev_) ? fail(std::errc::result_out_of_range) : Result<>();
}

void Vlan::lower_changed() {
  inherit_from_lowers(dev_, [this] { return link_.lower() != nullptr && is_usable(*lower_); });
}

}  // namespace usernic
