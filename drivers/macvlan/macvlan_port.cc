// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/macvlan/macvlan_port.h"

#include <algorithm>

#include "drivers/macvlan/macvlan.h"
#include "usernic/skb_copy.h"

namespace usernic {
namespace {

constexpr uint32_t kAddressBytes = 6;
constexpr uint32_t kHeaderBytes = 14;
constexpr uint32_t kVlanTagBytes = 4;

// Zero, which is nobody's, where the frame is too short for it.
MacAddress destination_of(const Skb& skb) noexcept {
  return skb.size() >= kAddressBytes ? MacAddress::from_bytes(skb.data()) : MacAddress{};
}
MacAddress source_of(const Skb& skb) noexcept {
  return skb.size() >= 2 * kAddressBytes ? MacAddress::from_bytes(skb.data() + kAddressBytes) : MacAddress{};
}

}  // namespace

MacvlanPort::MacvlanPort(NetDevice& lower)
    : lower_(lower),
      copies_(lower.net().shared_pool(lower.mtu_max() + kHeaderBytes + kVlanTagBytes)),
      table_(new Table) {}

MacvlanPort::~MacvlanPort() {
  delete table_.load();
}

Result<MacvlanPort*> MacvlanPort::join(NetDevice& lower, Macvlan& macvlan, const MacAddress& address) {
  auto* port = dynamic_cast<MacvlanPort*>(rx_handler(lower, RxStage::kUpper));
  if (port != nullptr) {
    const Table& there = *port->table_.load();
    const bool passthru =
        macvlan.mode() == MacvlanMode::kPassthru || there.front().macvlan->mode() == MacvlanMode::kPassthru;
    if (passthru) return fail(std::errc::invalid_argument);
    if (const Result<> changed = port->change_address(macvlan, address); !changed) return fail(changed.error());
    return port;
  }
  if (macvlan.mode() != MacvlanMode::kPassthru && address == lower.address()) return fail(std::errc::address_in_use);
  port = new MacvlanPort(lower);
  if (const Result<> registered = register_rx_handler(lower, RxStage::kUpper, *port); !registered) {
    delete port;
    return fail(registered.error());
  }
  port->replace({{address, &macvlan}});
  return port;
}

Result<> MacvlanPort::change_address(Macvlan& macvlan, const MacAddress& address) {
  const bool lowers = address == lower_.address() && macvlan.mode() != MacvlanMode::kPassthru;
  if (lowers) return fail(std::errc::address_in_use);
  Table table = *table_.load();
  const auto same = [&](const Station& each) { return each.address == address && each.macvlan != &macvlan; };
  if (std::ranges::any_of(table, same)) return fail(std::errc::address_in_use);
  std::erase_if(table, [&](const Station& each) { return each.macvlan == &macvlan; });
  table.push_back({address, &macvlan});
  replace(std::move(table));
  return {};
}

void MacvlanPort::leave(Macvlan& macvlan) {
  Table table = *table_.load();
  std::erase_if(table, [&](const Station& each) { return each.macvlan == &macvlan; });
  const bool last = table.empty();
  replace(std::move(table));
  if (!last) return;
  unregister_rx_handler(lower_, RxStage::kUpper, *this);
  delete this;
}

void MacvlanPort::replace(Table table) {
  std::ranges::sort(table, {}, &Station::address);
  const Table* const old = table_.exchange(new Table(std::move(table)));
  synchronize_rx(lower_);
  delete old;
}

// Whose own address it is.
Macvlan* MacvlanPort::owner_of(const Table& table, const MacAddress& address) noexcept {
  const auto own = std::lower_bound(table.begin(), table.end(), address,
                                    [](const Station& each, const MacAddress& key) { return each.address < key; });
  return own != table.end() && own->address == address ? own->macvlan : nullptr;
}

// Whose unicast it is: by own address, else by unicast list.
Macvlan* MacvlanPort::find(const Table& table, const MacAddress& to) const noexcept {
  if (Macvlan* const owner = owner_of(table, to); owner != nullptr) return owner;
  if (to == lower_.address()) return nullptr;
  const auto other = std::find_if(table.begin(), table.end(), [&to](const Station& each) noexcept USERNIC_NONBLOCKING {
    return each.macvlan->lists_unicast(to);
  });
  return other != table.end() ? other->macvlan : nullptr;
}

// Of a frame for a group. One that was merged is longer than the buffers are: TCP for a group is nobody's.
Skb* MacvlanPort::copy_for(Macvlan& to, const Skb& skb) noexcept {
  Skb* const same = copy_into(copies_, skb);
  if (same == nullptr) to.lose(skb, "there was no buffer for a copy");
  return same;
}

void MacvlanPort::receive(SkbBatch& frames) noexcept {
  const Table& table = *table_.load();
  SkbBatch rest;
  SkbBatch run;  // frames of one macvlan that came after each other
  Macvlan* macvlan = nullptr;
  const auto hand_over = [&]() noexcept USERNIC_NONBLOCKING {
    if (!run.empty()) macvlan->dev().receive(run);
  };
  const auto give = [&](Macvlan& to, Skb& skb) noexcept USERNIC_NONBLOCKING {
    if (&to != macvlan) hand_over();
    macvlan = &to;
    run.push_back(skb);
  };
  while (Skb* const skb = frames.pop_front()) {
    const MacAddress to = destination_of(*skb);
    const bool passthru = !table.empty() && table.front().macvlan->mode() == MacvlanMode::kPassthru;
    if (to.is_multicast() && !passthru) {
      // What one of them sent and somebody outside sent back was switched on its way out, or is not for the others.
      const bool reflected = owner_of(table, source_of(*skb)) != nullptr;
      for (const Station& each : table) {
        if (reflected || !each.macvlan->accepts(to)) continue;
        if (Skb* const same = copy_for(*each.macvlan, *skb); same != nullptr) give(*each.macvlan, *same);
      }
      rest.push_back(*skb);
      continue;
    }
    Macvlan* const owner = passthru ? table.front().macvlan : find(table, to);
    owner != nullptr && owner->dev().running() ? give(*owner, *skb) : rest.push_back(*skb);
  }
  hand_over();
  frames.splice(rest);
}

bool MacvlanPort::switch_frame(Macvlan& from, Skb& skb) noexcept {
  RxSection section(lower_);
  const Table& table = *table_.load();
  const MacAddress to = destination_of(skb);
  if (!to.is_multicast()) {
    Macvlan* const other = find(table, to);
    const bool here = other != nullptr && other != &from && other->mode() == MacvlanMode::kBridge;
    if (here) other->receive_later(skb);
    return here;
  }
  for (const Station& each : table) {
    Macvlan& other = *each.macvlan;
    if (&other == &from || other.mode() != MacvlanMode::kBridge || !other.accepts(to)) continue;
    if (Skb* const same = copy_for(other, skb); same != nullptr) other.receive_later(*same);
  }
  return false;
}

}  // namespace usernic
