// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bond/bond.h"

#include <algorithm>
#include <cstring>

#include "usernic/address_list.h"
#include "usernic/frame_tap.h"
#include "usernic/rx_handler.h"

namespace usernic {

// One lower device, and the receiver of its frames.
struct Bond::Slave final : RxHandler {
  Slave(Bond& in, NetDevice& lower)
      : bond(in), dev(lower), own_address(lower.address()), link(in.dev_, in.queue_, in.changed_), take_address([this] {
          (void)dev->set_mac_address(bond.dev_.address());
        }) {}
  ~Slave() override { take_address.cancel_sync(); }  // rtnl not held

  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  Features superframes() const noexcept USERNIC_NONBLOCKING override { return kSegmentation; }
  bool usable() const noexcept {
    const NetDevice* const lower = link.lower();
    return lower != nullptr && is_usable(*lower);
  }

  Bond& bond;
  const DeviceHandle dev;
  const MacAddress own_address;  // before it was in the bond
  LowerLink link;
  Atomic<bool> active{false};
  Work take_address;  // on the lower device's own lane: while that is stuck, nobody else waits
};

namespace {

constexpr uint64_t kLinkLocalGroups = 0x0180'c200'0000;  // and the 15 after it [802.1D: reserved addresses]

constexpr MacAddress kLacpGroup = MacAddress::from_u64(0x0180'c200'0002);  // [802.3: 57A.3]

bool is_link_local(const Skb& skb) noexcept USERNIC_NONBLOCKING {
  return skb.size() >= 6 && (MacAddress::from_bytes(skb.data()).to_u64() & ~uint64_t{0xf}) == kLinkLocalGroups;
}

// Of the frame's addresses and type, and of its IP addresses if it has some: the same for each frame of a flow.
uint32_t flow_of(const Skb& skb) noexcept USERNIC_NONBLOCKING {
  constexpr uint32_t kHeader = 14;
  constexpr uint64_t kPrime = 0x100'0000'01b3;  // [FNV-1a]
  uint64_t mixed = 0xcbf2'9ce4'8422'2325;
  const auto mix = [&](uint32_t from, uint32_t to) noexcept USERNIC_NONBLOCKING {
    for (uint32_t i = from; i < to && i < skb.size(); ++i) mixed = (mixed ^ skb.data()[i]) * kPrime;
  };
  mix(0, kHeader);
  const uint32_t type = skb.size() >= kHeader ? skb.data()[12] << 8 | skb.data()[13] : 0;
  if (type == 0x0800) mix(kHeader + 12, kHeader + 20);
  if (type == 0x86dd) mix(kHeader + 8, kHeader + 40);
  return static_cast<uint32_t>(mixed ^ mixed >> 32);
}

}  // namespace

// A link-local group is nobody's but the lower device's own, so in an aggregation each may be negotiated.
void Bond::Slave::receive(SkbBatch& frames) noexcept {
  const bool mine = active.load();
  if (mine && bond.mode_ == BondMode::kActiveBackup) return bond.dev_.receive(frames);
  SkbBatch up, rest, others;
  while (Skb* const skb = frames.pop_front()) {
    if (is_link_local(*skb)) {
      rest.push_back(*skb);
    } else {
      (mine ? up : others).push_back(*skb);
    }
  }
  if (!up.empty()) bond.dev_.receive(up);
  if (!others.empty()) note_drops(*dev, others, FrameWay::kIn, "the device is not active in its bond");
  frames.splice(rest);
}

Bond::Bond(NetDevice& dev, BondMode mode)
    : dev_(dev),
      mode_(mode),
      queue_(dev.net(), "bond", Workqueue::kOrdered),
      changed_([this] { lowers_changed(); }, &dev) {
  dev_.carrier_off();
}

Bond::~Bond() = default;

// --- Lower devices come and go ---

Result<> Bond::add_lower(NetDevice& lower) {
  {
    MutexGuard rtnl(dev_.net().rtnl());
    if (dev_.reg_state() != RegState::kRegistered) return fail(std::errc::no_such_device);
    auto slave = std::make_unique<Slave>(*this, lower);
    if (const Result<> linked = slave->link.link(lower); !linked) return linked;
    Result<> mine = register_rx_handler(lower, RxStage::kUpper, *slave);
    if (mine && mode_ == BondMode::k8023ad) mine = lower.mc().add(kLacpGroup);
    if (!mine) {
      unregister_rx_handler(lower, RxStage::kUpper, *slave);
      slave->link.unlink();
      return mine;
    }
    slaves_.push_back(std::move(slave));
  }
  Result<> ready = lower.set_mac_address(dev_.address());
  if (ready) ready = lower.open();
  if (!ready) (void)remove_lower(lower);
  queue_.queue(changed_);
  return ready;
}

Result<> Bond::remove_lower(NetDevice& lower) {
  std::unique_ptr<Slave> out;
  {
    MutexGuard rtnl(dev_.net().rtnl());
    const auto slave = find(lower);
    if (slave == slaves_.end()) return fail(std::errc::no_such_file_or_directory);
    out = drop(slave);
    select();
  }
  const MacAddress own_address = out->own_address;
  out.reset();
  (void)lower.set_mac_address(own_address);  // a lower device that cannot keeps the bond's
  return {};
}

Result<> Bond::set_primary(const NetDevice* lower) {
  if (mode_ == BondMode::k8023ad) return fail(std::errc::operation_not_supported);
  MutexGuard rtnl(dev_.net().rtnl());
  const auto slave = lower != nullptr ? find(*lower) : slaves_.end();
  if (lower != nullptr && slave == slaves_.end()) return fail(std::errc::no_such_file_or_directory);
  primary_ = lower != nullptr ? slave->get() : nullptr;
  select();
  return {};
}

DeviceHandle Bond::active() const {
  MutexGuard rtnl(dev_.net().rtnl());
  const Slave* const slave = active_[0].load();
  return slave != nullptr ? slave->dev : DeviceHandle();
}

std::vector<DeviceHandle> Bond::actives() const {
  MutexGuard rtnl(dev_.net().rtnl());
  std::vector<DeviceHandle> all;
  for (const auto& each : slaves_) {
    if (each->active.load()) all.push_back(each->dev);
  }
  return all;
}

// --- The rest: under rtnl, but for lowers_changed, start_xmit and set_mac_address ---

Bond::Slaves::iterator Bond::find(const NetDevice& lower) {
  return std::ranges::find_if(slaves_, [&](const auto& each) { return each->link.lower() == &lower; });
}

// Somebody else takes over first. Nobody receives or sends by it any more. To be freed without rtnl.
std::unique_ptr<Bond::Slave> Bond::drop(Slaves::iterator slave) {
  std::unique_ptr<Slave> owner = std::move(*slave);
  Slave& out = *owner;
  slaves_.erase(slave);
  if (primary_ == &out) primary_ = nullptr;
  if (out.active.load()) activate(choose());
  out.link.unlink();
  if (mode_ == BondMode::k8023ad) (void)out.dev->mc().del(kLacpGroup);  // ENODEV: it went with the device
  unregister_rx_handler(*out.dev, RxStage::kUpper, out);
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) SpinGuardBh sees_it_through(dev_.tx_queue(i).xmit_lock());
  return owner;
}

// The core unlinked those that were unregistered.
Bond::Slaves Bond::forget_gone() {
  Slaves forgotten;
  const auto gone = [](const auto& each) { return each->link.lower() == nullptr; };
  for (auto it = std::ranges::find_if(slaves_, gone); it != slaves_.end(); it = std::ranges::find_if(slaves_, gone)) {
    forgotten.push_back(drop(it));
  }
  return forgotten;
}

Bond::Choice Bond::choose() const {
  Choice all;
  if (mode_ == BondMode::kActiveBackup) {
    if (Slave* const one = choose_one(); one != nullptr) all.slaves[all.count++] = one;
    return all;
  }
  for (const auto& each : slaves_) {
    if (each->usable()) all.slaves[all.count++] = each.get();
  }
  return all;
}

Bond::Slave* Bond::choose_one() const {
  if (primary_ != nullptr && primary_->usable()) return primary_;
  const auto now = std::ranges::find_if(slaves_, [](const auto& each) { return each->active.load(); });
  if (now != slaves_.end() && (*now)->usable()) return now->get();
  const auto first = std::ranges::find_if(slaves_, [](const auto& each) { return each->usable(); });
  return first != slaves_.end() ? first->get() : nullptr;
}

void Bond::select() {
  activate(choose());
  dev_.running() && active_count_.load() != 0 ? dev_.carrier_on() : dev_.carrier_off();
}

// Senders see each of the old ones, or of the new.
void Bond::activate(const Choice& next) {
  for (uint32_t i = 0; i < next.count; ++i) {
    if (dev_.running()) next.slaves[i]->link.activate();
    next.slaves[i]->active.store(true);
    active_[i].store(next.slaves[i]);
  }
  active_count_.store(next.count);
  for (uint32_t i = next.count; i < kSlavesMax; ++i) active_[i].store(nullptr);
  for (const auto& each : slaves_) {
    if (std::ranges::find(next.slaves, each.get()) != next.slaves.end()) continue;
    each->active.store(false);
    each->link.deactivate();
  }
}

namespace {

// On the lower device's own lane, for which the bond does not wait; gone when it is done.
struct GiveAddressBack {
  GiveAddressBack(NetDevice& lower, const MacAddress& own) : dev(lower), address(own) {}
  const DeviceHandle dev;
  const MacAddress address;
  Work work{[this] {
              (void)dev->set_mac_address(address);
              delete this;
            },
            dev.get()};
};

}  // namespace

void Bond::uninit() {
  while (!slaves_.empty()) {
    left_.push_back(drop(slaves_.begin()));
    NetDevice& lower = *left_.back()->dev;
    if (lower.reg_state() != RegState::kRegistered) continue;
    lower.lane().queue((new GiveAddressBack(lower, left_.back()->own_address))->work);
  }
}

Result<> Bond::open() {
  for (const auto& each : slaves_) {
    if (each->active.load()) each->link.activate();
  }
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
  queue_.queue(changed_);
  return {};
}

void Bond::stop() {
  for (const auto& each : slaves_) each->link.deactivate();
  dev_.carrier_off();
  for (const auto& each : slaves_) synchronize_rx(*each->dev);  // whoever saw it running has delivered
}

NetdevTx Bond::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  const uint32_t count = active_count_.load();
  Slave* slave = count > 1 ? active_[flow_of(skb) % count].load() : nullptr;
  if (slave == nullptr) slave = active_[0].load();
  if (slave != nullptr) return slave->link.xmit(skb, queue);
  return drop_in_xmit(skb, queue, "no device below is active");
}

Result<> Bond::change_mtu(uint32_t mtu) {
  return mtu > mtu_below(dev_) ? fail(std::errc::invalid_argument) : Result<>();
}

Result<> Bond::set_mac_address(const MacAddress&) {
  queue_.queue(changed_);  // runs when rtnl is free again, and the address is in place
  return {};
}

void Bond::pass_address_on() {
  for (const auto& each : slaves_) {
    NetDevice* const lower = each->link.lower();
    if (lower != nullptr && lower->address() != dev_.address()) lower->lane().queue(each->take_address);
  }
}

// Until a lower device has taken the new address, the link has it in the active one's unicast list.
void Bond::lowers_changed() {
  Slaves forgotten;  // freed without rtnl; theirs is the address of a device that is gone, so nobody waits long
  inherit_from_lowers(dev_, [&] {
    forgotten = forget_gone();
    activate(choose());
    pass_address_on();
    return active_count_.load() != 0;
  });
}

}  // namespace usernic
