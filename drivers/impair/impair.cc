// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/impair/impair.h"

#include <algorithm>

namespace usernic {

Result<NetdevPtr> Impair::probe(Net& net, NetdevConfig config, NetDevice& lower, ImpairConfig impair) {
  if (!config_error(impair).empty()) return fail(std::errc::invalid_argument);
  if (impair.seed == 0) impair.seed = 1 + random_u64() % kImpairSeedMax;  // as a config can have it
  if (config.address.is_zero()) config.address = lower.address();
  config.mtu = std::min(config.mtu, lower.mtu());
  return net.alloc_netdev<Impair>(config, lower, impair);
}

Impair::Impair(NetDevice& dev, NetDevice& lower, const ImpairConfig& config)
    : dev_(dev),
      lower_(lower),
      config_(config),
      in_(dev, dev.net().shared_pool(lower.mtu_max() + kFrameOverhead), config_, Way::kIn, &Impair::up, this),
      out_(dev, dev.net().shared_pool(lower.mtu_max() + kFrameOverhead), config_, Way::kOut, &Impair::down, this),
      changed_([this] { lower_changed(); }, &dev),
      link_(dev, dev.lane(), changed_) {}

Result<> Impair::init() {
  dev_.carrier_off();
  if (const Result<> linked = link_.link(*lower_); !linked) return linked;
  if (const Result<> registered = register_rx_handler(*lower_, RxStage::kUpper, *this); !registered) {
    link_.unlink();
    return registered;
  }
  dev_.lane().queue(changed_);  // the lower device may have changed since `probe` looked
  return {};
}

void Impair::uninit() {
  unregister_rx_handler(*lower_, RxStage::kUpper, *this);
}

Result<> Impair::open() {
  link_.activate();
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
  dev_.lane().queue(changed_);
  return {};
}

void Impair::stop() {
  link_.deactivate();
  dev_.carrier_off();
  synchronize_rx(*lower_);  // whoever saw it running has delivered
  in_.clear();
  out_.clear();
}

NetdevTx Impair::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  SkbBatch now;
  out_.pass(skb, now);
  NetdevTx result = NetdevTx::kOk;
  while (Skb* const each = now.pop_front()) result = link_.xmit(*each, queue);
  return result;
}

void Impair::receive(SkbBatch& frames) noexcept {
  SkbBatch now;
  if (dev_.running()) {
    while (Skb* const skb = frames.pop_front()) in_.pass(*skb, now);
  }
  now.splice(frames);
  dev_.receive(now);
}

void Impair::up(void* self, SkbBatch& frames) noexcept {
  static_cast<Impair*>(self)->dev_.receive(frames);
}

void Impair::down(void* self, SkbBatch& frames) noexcept {
  NetDevice& lower = *static_cast<Impair*>(self)->lower_;
  lower.xmit(lower.tx_queue(0), frames);
}

Result<> Impair::change_mtu(uint32_t mtu) {
  return mtu > mtu_below(dev_) ? fail(std::errc::result_out_of_range) : Result<>();
}

void Impair::lower_changed() {
  inherit_from_lowers(dev_, [this] { return link_.lower() != nullptr && is_usable(*lower_); });
}

Result<> Impair::get_ethtool_stats(std::vector<NamedCounter>& counters) {
  counters = {{"seed", config_.seed}};
  for (const auto& [way, name] : {std::pair(&in_, "in"), std::pair(&out_, "out")}) {
    const ImpairedWay::Counters& of = way->counters();
    const auto add = [&](const char* what, const Atomic<uint64_t>& counter) {
      counters.push_back({std::string(name) + "_" + what, counter.load()});
    };
    add("frames", of.frames), add("lost", of.lost), add("duplicated", of.duplicated);
    add("corrupted", of.corrupted), add("overtaken", of.overtaken), add("no_room", of.no_room);
  }
  return {};
}

}  // namespace usernic
