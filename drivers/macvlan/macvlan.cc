// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/macvlan/macvlan.h"

#include <algorithm>

#include "drivers/macvlan/macvlan_port.h"
#include "usernic/address_list.h"
#include "usernic/own_addresses.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr DropReason kDown("the device is down");

}  // namespace

Result<NetdevPtr> Macvlan::probe(Net& net, NetdevConfig config, NetDevice& lower, MacvlanMode mode) {
  if (mode == MacvlanMode::kPassthru) config.address = lower.address();
  config.mtu = std::min(config.mtu, lower.mtu());
  return net.alloc_netdev<Macvlan>(config, lower, mode);
}

Macvlan::Macvlan(NetDevice& dev, NetDevice& lower, MacvlanMode mode)
    : dev_(dev),
      lower_(lower),
      mode_(mode),
      changed_([this] { lower_changed(); }, &dev),
      link_(dev, dev.lane(), changed_),
      napi_(dev, *this) {}

Result<> Macvlan::init() {
  dev_.carrier_off();
  if (const Result<> linked = link_.link(*lower_); !linked) return linked;
  const Result<MacvlanPort*> port = MacvlanPort::join(*lower_, *this, dev_.address());
  if (!port) {
    link_.unlink();
    return fail(port.error());
  }
  port_ = *port;
  dev_.lane().queue(changed_);  // the lower device may have changed since `probe` looked
  return {};
}

void Macvlan::uninit() {
  port_->leave(*this);
}

Result<> Macvlan::open() {
  napi_.enable();
  if (mode_ == MacvlanMode::kPassthru) (void)dev_.rx_mode().set_promiscuity(1);
  link_.activate();
  dev_.tx_queue(0).start();
  dev_.lane().queue(changed_);
  return {};
}

void Macvlan::stop() {
  link_.deactivate();
  if (mode_ == MacvlanMode::kPassthru) (void)dev_.rx_mode().set_promiscuity(-1);
  dev_.carrier_off();
  synchronize_rx(*lower_);  // whoever saw it running has delivered, or queued
  napi_.disable();
  SkbBatch late;  // queued during the last poll
  {
    SpinGuardBh guard(backlog_lock_);
    late.splice(backlog_);
  }
  for (Skb* skb = late.front(); skb != nullptr; skb = SkbBatch::next(*skb)) lose(*skb, kDown);
}

NetdevTx Macvlan::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  if (mode_ == MacvlanMode::kBridge && port_->switch_frame(*this, skb)) return NetdevTx::kOk;
  return link_.xmit(skb, queue);
}

void Macvlan::receive_later(Skb& skb) noexcept {
  DropReason why;
  {
    SpinGuardBh guard(backlog_lock_);
    if (!dev_.running()) {
      why = kDown;
    } else if (backlog_.size() >= kBacklogMax) {
      why = "too many wait to be received";
    } else {
      backlog_.push_back(skb);
    }
  }
  if (why.text() == nullptr) return void(napi_.schedule());
  lose(skb, why);
  SkbPool::free(skb);
}

void Macvlan::lose(const Skb& skb, DropReason why) noexcept {
  dropped_.drop(1);
  note_drop(dev_, skb, FrameWay::kIn, why);
}

int Macvlan::poll(Napi& napi, int budget) noexcept {
  SkbBatch frames;
  {
    SpinGuardBh guard(backlog_lock_);
    while (frames.size() < static_cast<uint32_t>(budget) && !backlog_.empty()) frames.push_back(*backlog_.pop_front());
  }
  const int done = static_cast<int>(frames.size());
  napi.receive(frames);
  if (done < budget) napi.complete_done(done);
  return done;
}

void Macvlan::get_stats(LinkStats& stats) const noexcept {
  stats.rx_dropped += dropped_.dropped.load(std::memory_order_relaxed);
}

void Macvlan::set_rx_mode_async(RxPlan& plan) {
  while (RxCommand* const command = plan.next()) plan.answer(*command, {});
}

// Bounded: a spin lock and a look-up.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
bool Macvlan::accepts(const MacAddress& group) const noexcept {
  return dev_.running() && dev_.rx_mode().covered(group);
}
bool Macvlan::lists_unicast(const MacAddress& address) const noexcept {
  return dev_.uc().size() != 0 && dev_.running() && dev_.uc().contains(address);  // the first is without a lock
}
USERNIC_BLOCKING_BY_DESIGN_END

Result<> Macvlan::change_mtu(uint32_t mtu) {
  return mtu > mtu_below(dev_) ? fail(std::errc::invalid_argument) : Result<>();
}

Result<> Macvlan::set_mac_address(const MacAddress& address) {
  if (mode_ == MacvlanMode::kPassthru) return fail(std::errc::operation_not_supported);
  return port_->change_address(*this, address);
}

void Macvlan::lower_changed() {
  inherit_from_lowers(dev_, [this] {
    const NetDevice* const lower = link_.lower();
    if (lower != nullptr && mode_ == MacvlanMode::kPassthru && lower->address() != dev_.address()) {
      dev_.own_addresses().set(0, lower->address().octets.data(), lower->address().octets.size());
    }
    return lower != nullptr && is_usable(*lower);
  });
}

}  // namespace usernic
