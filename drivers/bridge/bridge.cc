// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bridge/bridge.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "usernic/address_list.h"
#include "usernic/rx_handler.h"
#include "usernic/rx_mode.h"
#include "usernic/skb_copy.h"

namespace usernic {

// One lower device, and the receiver of its frames.
struct Bridge::Port final : RxHandler {
  Port(Bridge& in, PortNumber own_number, NetDevice& lower)
      : bridge(in), number(own_number), dev(lower), link(in.dev_, in.dev_.lane(), in.changed_) {}
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override { bridge.receive(*this, frames); }

  Bridge& bridge;
  const PortNumber number;
  const DeviceHandle dev;
  LowerLink link;
};

// What a batch became, by where it goes: each port gets its part at once.
struct Bridge::Outbound {
  std::array<SkbBatch, kPortsMax> to;
  SkbBatch up;
};

namespace {

constexpr uint32_t kHeaderBytes = 14;
constexpr uint64_t kLinkLocalGroups = 0x0180'c200'0000;  // and the 15 after it [802.1D: reserved addresses]

MacAddress destination_of(const Skb& skb) noexcept USERNIC_NONBLOCKING {
  return MacAddress::from_bytes(skb.data());
}
MacAddress source_of(const Skb& skb) noexcept USERNIC_NONBLOCKING {
  return MacAddress::from_bytes(skb.data() + 6);
}
bool is_link_local(const MacAddress& to) noexcept USERNIC_NONBLOCKING {
  return (to.to_u64() & ~uint64_t{0xf}) == kLinkLocalGroups;
}

// Ports may have MTUs of their own.
constexpr DropReason kTooLong("longer than its port's MTU allows");
constexpr DropReason kPortDown("its port is down");

bool fits(const NetDevice& port, const Skb& skb) noexcept USERNIC_NONBLOCKING {
  return skb.size() <= port.frame_bytes_max();
}

// `top`, or something that it is on.
bool leads_to(const NetDevice& top, const NetDevice& below) {
  if (&top == &below) return true;
  return std::ranges::any_of(lowers_of(top), [&](const DeviceHandle& each) { return leads_to(*each, below); });
}

}  // namespace

Bridge::Bridge(NetDevice& dev, Duration ageing)
    : dev_(dev),
      changed_([this] { lowers_changed(); }, &dev),
      copies_(dev.net().shared_pool(dev.mtu_max() + kFrameOverhead)),
      fdb_(ageing) {}

Bridge::~Bridge() = default;

Result<> Bridge::init() {
  dev_.carrier_off();
  return {};
}

// --- Ports come and go ---

Bridge::PortNumber Bridge::number_of(const NetDevice& lower) const {
  const auto is_it = [&](const Atomic<Port*>& each) {
    const Port* const port = each.load();
    return port != nullptr && port->link.lower() == &lower;
  };
  return static_cast<PortNumber>(std::ranges::find_if(ports_, is_it) - ports_.begin());
}

bool Bridge::is_stacked_with_a_port(const NetDevice& lower) const {
  return std::ranges::any_of(ports_, [&](const Atomic<Port*>& each) {
    const Port* const port = each.load();
    return port != nullptr && port->dev.get() != &lower && (leads_to(lower, *port->dev) || leads_to(*port->dev, lower));
  });
}

Result<> Bridge::add_port(NetDevice& lower) {
  MutexGuard rtnl(dev_.net().rtnl());
  if (dev_.reg_state() != RegState::kRegistered) return fail(std::errc::no_such_device);
  if (is_stacked_with_a_port(lower)) return fail(std::errc::too_many_symbolic_link_levels);
  const auto free = std::ranges::find(ports_, nullptr, [](const Atomic<Port*>& each) { return each.load(); });
  if (free == ports_.end()) return fail(std::errc::no_space_on_device);
  auto port = std::make_unique<Port>(*this, static_cast<PortNumber>(free - ports_.begin()), lower);
  if (const Result<> linked = port->link.link(lower); !linked) return linked;
  Result<> mine = register_rx_handler(lower, RxStage::kUpper, *port);
  if (mine) mine = lower.rx_mode().set_promiscuity(1);
  if (!mine) {
    unregister_rx_handler(lower, RxStage::kUpper, *port);
    port->link.unlink();
    return mine;
  }
  if (dev_.running()) port->link.activate();
  free->store(port.release());
  dev_.lane().queue(changed_);
  return {};
}

Result<> Bridge::remove_port(NetDevice& lower) {
  MutexGuard rtnl(dev_.net().rtnl());
  const PortNumber number = number_of(lower);
  if (number == kPortsMax) return fail(std::errc::no_such_file_or_directory);
  drop(number);
  dev_.lane().queue(changed_);
  return {};
}

// Nothing is learned of it any more, nor sent to it, when it returns.
void Bridge::drop(PortNumber number) {
  const std::unique_ptr<Port> port(ports_[number].load());
  unregister_rx_handler(*port->dev, RxStage::kUpper, *port);
  fdb_.forget_all(number);
  ports_[number].store(nullptr);
  synchronize();
  port->link.unlink();
  (void)port->dev->rx_mode().set_promiscuity(-1);  // ENODEV: it went with the device
}

void Bridge::synchronize() {
  for (const Atomic<Port*>& each : ports_) {
    if (const Port* const port = each.load(); port != nullptr) synchronize_rx(*port->dev);
  }
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) SpinGuardBh sees_it_through(dev_.tx_queue(i).xmit_lock());
}

Result<> Bridge::add_static(const MacAddress& station, const NetDevice& port) {
  if (!station.is_valid_own()) return fail(std::errc::address_not_available);
  MutexGuard rtnl(dev_.net().rtnl());
  const PortNumber number = number_of(port);
  return number != kPortsMax ? fdb_.add_static(station, number) : fail(std::errc::no_such_file_or_directory);
}

Result<> Bridge::del_static(const MacAddress& station) {
  return fdb_.del_static(station);
}

std::vector<Bridge::Station> Bridge::stations() const {
  MutexGuard rtnl(dev_.net().rtnl());
  std::vector<Station> all;
  for (const Fdb::Entry& each : fdb_.entries(Clock::now())) {
    if (const Port* const port = ports_[each.port].load(); port != nullptr)
      all.push_back({each.address, port->dev, each.is_static});
  }
  return all;
}

void Bridge::uninit() {
  for (PortNumber number = 0; number < kPortsMax; ++number) {
    if (ports_[number].load() != nullptr) drop(number);
  }
}

Result<> Bridge::open() {
  for (const Atomic<Port*>& each : ports_) {
    if (Port* const port = each.load(); port != nullptr) port->link.activate();
  }
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
  dev_.lane().queue(changed_);
  return {};
}

void Bridge::stop() {
  dev_.carrier_off();
  for (const Atomic<Port*>& each : ports_) {
    if (Port* const port = each.load(); port != nullptr) port->link.deactivate();
  }
  synchronize();  // whoever saw it running has delivered
}

Result<> Bridge::change_mtu(uint32_t mtu) {
  return mtu > mtu_below(dev_) ? fail(std::errc::invalid_argument) : Result<>();
}

// The core unlinked those that were unregistered. Who was at a port without carrier may be elsewhere by now.
void Bridge::lowers_changed() {
  inherit_from_lowers(dev_, [this] {
    bool usable = false;
    for (PortNumber number = 0; number < kPortsMax; ++number) {
      const Port* const port = ports_[number].load();
      if (port == nullptr) continue;
      if (port->link.lower() == nullptr) {
        drop(number);
      } else if (is_usable(*port->dev)) {
        usable = true;
      } else {
        fdb_.forget_learned(number);
      }
    }
    return usable;
  });
}

// --- Frames ---

// Bounded: a spin lock and a look-up.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
bool Bridge::is_mine(const MacAddress& address) const noexcept {
  return address == dev_.address() || (dev_.uc().size() != 0 && dev_.uc().contains(address));
}
USERNIC_BLOCKING_BY_DESIGN_END

Bridge::Port* Bridge::usable_port(PortNumber number) const noexcept {
  Port* const port = ports_[number].load();
  return port != nullptr && is_usable(*port->dev) ? port : nullptr;
}

void Bridge::lose(const Skb& skb, FrameWay way, DropReason why) noexcept {
  dropped_.drop(1);
  note_drop(dev_, skb, way, why);
}

// For one of several, or for the bridge's own device, which the frame goes in to.
Skb* Bridge::copy(const Skb& skb, FrameWay way) noexcept {
  Skb* const same = copy_into(copies_, skb);
  if (same == nullptr) lose(skb, way, "there was no buffer for a copy");
  return same;
}

void Bridge::send(Port& port, uint16_t queue, SkbBatch& frames) noexcept {
  NetDevice& to = *port.dev;
  to.xmit(to.tx_queue(queue % to.tx_queue_count()), frames);
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    lose(*skb, FrameWay::kOut, "its port's queue is full");
  }
  SkbPool::free(frames);
}

// To every usable port but `from`, and up; the last gets the frame itself.
void Bridge::flood(Outbound& out, Skb& skb, PortNumber from, bool up) noexcept {
  SkbBatch* last = up ? &out.up : nullptr;
  for (PortNumber number = 0; number < kPortsMax; ++number) {
    const Port* const port = number != from ? usable_port(number) : nullptr;
    if (port == nullptr) continue;
    if (!fits(*port->dev, skb)) {
      lose(skb, FrameWay::kOut, kTooLong);
      continue;
    }
    SkbBatch* const before = std::exchange(last, &out.to[number]);
    if (before == nullptr) continue;
    const FrameWay way = before == &out.up ? FrameWay::kIn : FrameWay::kOut;
    if (Skb* const same = copy(skb, way); same != nullptr) before->push_back(*same);
  }
  last != nullptr ? last->push_back(skb) : SkbPool::free(skb);
}

void Bridge::receive(Port& from, SkbBatch& frames) noexcept {
  const Time now = Clock::now();
  const bool open = dev_.running();
  const bool all_up = dev_.rx_mode().promisc();
  Outbound out;
  SkbBatch rest;
  while (Skb* const skb = frames.pop_front()) {
    const bool whole = skb->size() >= kHeaderBytes;
    if (whole && is_link_local(destination_of(*skb))) {
      rest.push_back(*skb);
      continue;
    }
    if (!whole || !open) {
      lose(*skb, FrameWay::kIn, whole ? DropReason("the device is down") : DropReason("no whole header"));
      SkbPool::free(*skb);
      continue;
    }
    const MacAddress to = destination_of(*skb), sender = source_of(*skb);
    if (sender.is_valid_own() && !is_mine(sender)) fdb_.learn(sender, from.number, now);
    if (to.is_multicast()) {
      flood(out, *skb, from.number, true);
      continue;
    }
    if (is_mine(to)) {
      out.up.push_back(*skb);
      continue;
    }
    const std::optional<PortNumber> at = fdb_.find(to, now);
    if (!at) {
      flood(out, *skb, from.number, all_up);
      continue;
    }
    if (all_up) {
      if (Skb* const same = copy(*skb, FrameWay::kIn); same != nullptr) out.up.push_back(*same);
    }
    const Port* const port = *at != from.number ? usable_port(*at) : nullptr;  // else: whom it is for has it
    if (port != nullptr && fits(*port->dev, *skb)) {
      out.to[*at].push_back(*skb);
    } else {
      if (*at != from.number) lose(*skb, FrameWay::kOut, port != nullptr ? kTooLong : kPortDown);
      SkbPool::free(*skb);
    }
  }
  for (PortNumber number = 0; number < kPortsMax; ++number) {
    if (out.to[number].empty()) continue;
    if (Port* const port = ports_[number].load(); port != nullptr) send(*port, 0, out.to[number]);
  }
  if (!out.up.empty()) dev_.receive(out.up);
  frames.splice(rest);
}

// Copies go out at once, and the frame itself with its batch.
NetdevTx Bridge::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  const MacAddress to = skb.size() >= kHeaderBytes ? destination_of(skb) : MacAddress{};
  const std::optional<PortNumber> at = to.is_multicast() ? std::nullopt : fdb_.find(to, Clock::now());
  Port* last = nullptr;
  uint32_t too_long = 0;  // for so many ports
  for (PortNumber number = at.value_or(0); number < (at ? *at + 1 : kPortsMax); ++number) {
    Port* const port = usable_port(number);
    if (port == nullptr) continue;
    if (!fits(*port->dev, skb)) {
      ++too_long;
      continue;
    }
    Port* const before = std::exchange(last, port);
    if (before == nullptr) continue;
    SkbBatch one;
    if (Skb* const same = copy(skb, FrameWay::kOut); same != nullptr) one.push_back(*same);
    if (!one.empty()) send(*before, queue.index(), one);
  }
  if (last == nullptr) {
    return drop_in_xmit(skb, queue, too_long != 0 ? kTooLong : at ? kPortDown : DropReason("no port is up"));
  }
  for (; too_long != 0; --too_long) lose(skb, FrameWay::kOut, kTooLong);
  return last->link.xmit(skb, queue);
}

void Bridge::get_stats(LinkStats& stats) const noexcept {
  stats.tx_dropped += dropped_.dropped.load(std::memory_order_relaxed);
}

}  // namespace usernic
