// SPDX-License-Identifier: Apache-2.0 OR MIT
// The graph of stacked devices, and what one link passes on. How it gets there is in propagation.cc.
#include "usernic/lower_link.h"

#include <algorithm>

#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "core/device/tx_below.h"
#include "core/frame/tx_offload.h"
#include "core/list/stack_graph.h"
#include "core/lock/mutation.h"
#include "usernic/frame_tap.h"

namespace usernic {

static_assert(4 * kStackMax <= kTagsBytesMax, "a tag for each device");

// --- What one link passes on ---

void tell_entry(AddressTable& from, AddressEntry& entry, uint64_t bit, WantedList& to, bool wanted) noexcept {
  if (wanted == ((entry.told & bit) != 0)) return;
  if (!to.wanted().gone) {
    AddressEntry& below = to.find_or_make(to.key_of(entry));
    to.set_refs(below, wanted ? below.refs + AddressEntry::kUpper : below.refs - AddressEntry::kUpper);
  }
  if (wanted) {
    entry.told |= bit;
  } else {
    from.release(entry, bit);
  }
}

void tell_own_entry(AddressTable& from, const MacAddress& own, uint64_t bit, WantedList& to, bool wants) noexcept {
  if (AddressEntry* const entry = from.find(own); entry != nullptr)
    tell_entry(from, *entry, bit, to, wants && entry->referenced());
}

namespace {

void refer(AddressTable& to, const MacAddress& address, bool wanted) noexcept USERNIC_REQUIRES(addr_list_lock) {
  AddressEntry& entry = to.find_or_make(address);
  to.set_refs(entry, wanted ? entry.refs + AddressEntry::kUpper : entry.refs - AddressEntry::kUpper);
}

// Brings our reference on a mode to `wanted`.
void tell_mode(Wanted& to, ModeRefs& mode, bool& held, bool wanted) noexcept USERNIC_REQUIRES(addr_list_lock) {
  if (held != wanted && to.count(mode, &ModeRefs::uppers, wanted ? 1 : -1)) held = wanted;
}

MacAddress own_of(const Link& link, const Wanted& from) noexcept USERNIC_REQUIRES(addr_list_lock) {
  return link.active ? from.own : MacAddress{};
}

}  // namespace

bool Link::tell_list(WantedList& upper, Subscriber& subscriber, WantedList& lower, size_t& entries) noexcept {
  if (upper.passed_all(subscriber)) return true;
  return upper.drain_chunk(subscriber, UINT64_MAX, [&](AddressEntry& entry) {
    addr_list_lock.assert_held();
    ++entries;
    tell_entry(upper, entry, subscriber.bit, lower, active && entry.referenced());
  });
}

// Wide before narrow: a lower that was promiscuous for us gets the addresses first.
size_t Link::tell(Wanted& from) noexcept {
  size_t entries = 0;
  const bool scalars = scalars_told != from.scalars;
  if (scalars && !tell_wider(from, entries)) [[unlikely]]
    return entries;
  if (!settled) {
    const bool uc_told = tell_list(from.uc, uc, to->uc, entries);
    const bool mc_told = tell_list(from.mc, mc, to->mc, entries);
    if (!uc_told || !mc_told) return entries;
  }
  if (scalars) [[unlikely]]
    tell_narrower(from);
  settled = !active;
  told = from.generation;
  return entries;
}

bool Link::tell_wider(Wanted& from, size_t& entries) noexcept {
  const bool promisc_wanted = active && from.promiscuity.total() != 0;
  if (promisc_wanted) tell_mode(*to, to->promiscuity, promisc, true);
  if (active && from.allmulti.total() != 0) tell_mode(*to, to->allmulti, allmulti, true);
  if (!promisc_wanted && mutated(Mutation::kNarrowToldFirst)) tell_mode(*to, to->promiscuity, promisc, false);
  if (own_of(*this, from) != own) tell_own(from);
  return tell_vlans(from, entries);
}

void Link::tell_narrower(const Wanted& from) noexcept {
  if (!active && mutated(Mutation::kKeepsModes)) promisc = allmulti = false;
  tell_mode(*to, to->promiscuity, promisc, active && from.promiscuity.total() != 0);
  tell_mode(*to, to->allmulti, allmulti, active && from.allmulti.total() != 0);
  scalars_told = from.scalars;
}

bool Link::passes_vlans() const noexcept {
  return active && vlan_ids == VlanIds::kPassed;
}

bool Link::tell_vlans(const Wanted& from, size_t& entries) noexcept {
  if (!active && mutated(Mutation::kKeepsVlans)) vlans.reset();
  const VlanSet behind = passes_vlans() ? from.vlans ^ vlans : vlans;
  size_t id = behind._Find_first();
  for (; id < kVlanIds && entries < AddressTable::kChunk; id = behind._Find_next(id), ++entries) {
    const uint32_t refs = to->vlan_refs.of(id);
    to->set_vlan_refs(static_cast<uint16_t>(id), vlans[id] ? refs - VlanRefs::kUpper : refs + VlanRefs::kUpper);
    vlans.flip(id);
  }
  return id >= kVlanIds;
}

// The new address first, so that one that stays wanted is never unwanted in between.
void Link::tell_own(Wanted& from) noexcept {
  const MacAddress before = std::exchange(own, own_of(*this, from));
  const bool before_held = std::exchange(own_told, false);
  settle_own();
  tell_own_entry(from.uc, before, uc.bit, to->uc, active);
  if (before_held) refer(to->uc, before, false);
}

void Link::settle_own() noexcept {
  const bool wanted = !own.is_zero() && own != to->own;
  if (wanted == own_told) return;
  own_told = wanted;
  refer(to->uc, own, wanted);
}

// --- The graph. Everything below: under rtnl ---

namespace {

Wanted& wanted_of(Device& dev) noexcept {
  return dev.engine.wanted;
}

// The longest chain, anew after a link came or went.
void settle_chain_down(Device& dev) {
  int longest = 1;
  for (const Link& link : wanted_of(dev).lowers) longest = std::max(longest, 1 + Device::of(link.to->dev).chain_down);
  if (std::exchange(dev.chain_down, longest) == longest) return;
  for (Link& link : dev.uppers) settle_chain_down(link.upper);
}

// Levels: the lowest device first where they grow, the uppermost first where they shrink.
void push_down(Device& dev, int level) {
  if (wanted_of(dev).level() >= level) return;
  if (mutated(Mutation::kLevelsFromTop)) dev.set_level(level);
  for (Link& link : wanted_of(dev).lowers) push_down(Device::of(link.to->dev), level + 1);
  dev.set_level(level);
}
void pull_up(Device& dev) {
  int level = 0;
  for (const Link& link : dev.uppers) level = std::max(level, 1 + wanted_of(link.upper).level());
  if (wanted_of(dev).level() == level) return;
  dev.set_level(level);
  for (Link& link : wanted_of(dev).lowers) pull_up(Device::of(link.to->dev));
}

// ELOOP, ENOMEM.
Result<> refuse_loop(StackGuard& stack, Wanted& from, const Wanted& to) {
  const Result<bool> loop = stack.leads_to(from, to);
  if (!loop) return fail(loop.error());
  return *loop ? fail(std::errc::too_many_symbolic_link_levels) : Result<>();
}

Result<> check_link(Device& upper, Device& lower) {
  if (&upper.net_ref != &lower.net_ref) return fail(std::errc::invalid_argument);
  const RegState state = upper.reg_state_.load();
  const bool upper_ok = state == RegState::kRegistered || state == RegState::kUninitialized;  // the latter: from init
  if (!upper_ok || lower.reg_state_.load() != RegState::kRegistered) return fail(std::errc::no_such_device);
  const auto same = [&](const Link& link) { return &link.to->dev == &lower; };
  if (std::ranges::any_of(wanted_of(upper).lowers, same)) return fail(std::errc::file_exists);
  {
    StackGuard stack(wanted_of(lower));
    if (const Result<> line = refuse_loop(stack, wanted_of(lower), wanted_of(upper)); !line) return line;
  }
  if (wanted_of(upper).level() + 1 + lower.chain_down > kStackMax) return fail(std::errc::too_many_links);
  return {};
}

Result<> join(Link& link, Device& lower) {
  Wanted& from = wanted_of(link.upper);
  Wanted& to = wanted_of(lower);
  StackGuard stack(to);
  if (const Result<> line = refuse_loop(stack, to, from); !line) return line;  // by a sync in between
  ListGuard upper_guard(from.lock, from.level());
  SpinGuard lower_guard(to.lock, to.level());
  if (!from.uc.subscribe(link.uc)) return fail(std::errc::no_space_on_device);
  if (!from.mc.subscribe(link.mc)) {
    from.uc.unsubscribe(link.uc);
    return fail(std::errc::no_space_on_device);
  }
  link.to = &to;
  from.lowers.push_back(link);
  SpinGuard uppers(lower.uppers_lock);
  lower.uppers.push_back(link);
  lower.upper_count.fetch_add(1);
  return {};
}

void part(Link& link, Device& lower) {
  Wanted& from = wanted_of(link.upper);
  ListGuard upper_guard(from.lock, from.level());
  SpinGuard lower_guard(link.to->lock, link.to->level());
  from.uc.unsubscribe(link.uc);
  from.mc.unsubscribe(link.mc);
  from.lowers.erase(from.lowers.iterator_to(link));
  link.to = nullptr;
  SpinGuard uppers(lower.uppers_lock);
  lower.uppers.erase(lower.uppers.iterator_to(link));
  lower.upper_count.fetch_sub(1);
}

void set_following(Link& link, bool on) {
  Wanted& from = wanted_of(link.upper);
  {
    ListGuard upper_guard(from.lock, from.level());
    SpinGuard lower_guard(link.to->lock, link.to->level());
    if (link.active == on) return;
    link.active = on;
    from.uc.rewind(link.uc);
    from.mc.rewind(link.mc);
    link.settled = false;
    link.told = link.scalars_told = Link::kUntold;
  }
  for (bool behind = true; behind;) {
    (void)from.serve_once();
    ListGuard guard(from.lock, from.level());
    behind = link.behind(from.generation);
  }
}

// Whoever finds the link not in use may free it, and then `changed`.
void unlink_one(Link& link, bool lower_is_gone = false) {
  set_following(link, false);
  Device& lower = Device::of(link.to->dev);
  part(link, lower);
  link.lower.store(nullptr);
  TxBelow::leave(link.upper, lower);
  pull_up(lower);
  settle_chain_down(link.upper);
  link.lower_dev = {};
  if (lower_is_gone) link.queue.queue(link.changed);
  link.in_use.store(false);
}

}  // namespace

void Device::set_level(int level) {
  {
    ListGuard guard(engine.wanted.lock, engine.wanted.level());
    engine.wanted.stack_level.store(level);
  }
  for (TxQueue& queue : tx_queues) {
    SpinGuardBh guard(queue.xmit_lock(), queue.level_.load());
    queue.level_.store(level);
  }
}

LowerLink::LowerLink(NetDevice& upper, Workqueue& queue, Work& changed, VlanIds vlan_ids)
    : link_(new Link{.upper = Device::of(upper), .queue = queue, .changed = changed, .vlan_ids = vlan_ids}) {}

LowerLink::~LowerLink() {
  if (!link_->in_use.load()) return;
  MutexGuard rtnl(link_->upper.net_ref.rtnl());
  if (link_->to != nullptr) unlink_one(*link_);
}

Result<> LowerLink::link(NetDevice& lower_dev) {
  Device& upper = link_->upper;
  Device& lower = Device::of(lower_dev);
  const ReportsOn concerned(upper);
  upper.net_ref.rtnl().assert_held();
  if (link_->to != nullptr) return fail(std::errc::device_or_resource_busy);
  if (const Result<> allowed = check_link(upper, lower); !allowed) return allowed;
  push_down(lower, wanted_of(upper).level() + 1);
  if (const Result<> joined = join(*link_, lower); !joined) {
    pull_up(lower);
    return joined;
  }
  link_->in_use.store(true);
  link_->lower_dev = DeviceHandle(lower_dev);
  link_->lower.store(&lower_dev);
  settle_chain_down(upper);
  return {};
}

void LowerLink::unlink() {
  const ReportsOn concerned(link_->upper);
  link_->upper.net_ref.rtnl().assert_held();
  if (link_->to != nullptr) unlink_one(*link_);
}

void LowerLink::activate() {
  const ReportsOn concerned(link_->upper);
  link_->upper.net_ref.rtnl().assert_held();
  if (link_->to != nullptr) set_following(*link_, true);
}
void LowerLink::deactivate() {
  const ReportsOn concerned(link_->upper);
  link_->upper.net_ref.rtnl().assert_held();
  if (link_->to != nullptr) set_following(*link_, false);
}

NetDevice* LowerLink::lower() const noexcept {
  return link_->lower.load();
}

NetdevTx LowerLink::xmit(Skb& skb, TxQueue& queue) noexcept {
  if (NetDevice* const to = lower(); to != nullptr) return TxBelow::send(queue, *to, skb);
  return drop_in_xmit(skb, queue, "there is no device below");
}

std::vector<DeviceHandle> uppers_of(const NetDevice& dev) {
  const ReportsOn concerned(dev);
  dev.net().rtnl().assert_held();
  std::vector<DeviceHandle> all;
  for (const Link& link : Device::of(dev).uppers) all.emplace_back(link.upper);
  return all;
}
std::vector<DeviceHandle> lowers_of(const NetDevice& dev) {
  const ReportsOn concerned(dev);
  dev.net().rtnl().assert_held();
  std::vector<DeviceHandle> all;
  for (const Link& link : Device::of(dev).engine.wanted.lowers) all.push_back(link.lower_dev);
  return all;
}

bool is_usable(const NetDevice& lower) noexcept {
  return lower.running() && lower.present() && lower.carrier_ok();
}

uint32_t mtu_below(const NetDevice& upper) {
  const ReportsOn concerned(upper);
  upper.net().rtnl().assert_held();
  uint32_t smallest = UINT32_MAX;
  for (const Link& link : Device::of(upper).engine.wanted.lowers) smallest = std::min(smallest, link.to->dev.mtu());
  return smallest;
}

void inherit_from_lowers(NetDevice& upper, const std::function<bool()>& look) {
  uint32_t mtu_max;
  {
    MutexGuard rtnl(upper.net().rtnl());
    const bool usable = look();
    upper.running() && usable ? upper.carrier_on() : upper.carrier_off();
    mtu_max = mtu_below(upper);
  }
  if (upper.mtu() > mtu_max) (void)upper.change_mtu(mtu_max);
}

void tell_uppers(Device& dev) noexcept {
  if (dev.upper_count.load() == 0) return;
  SpinGuard guard(dev.uppers_lock);
  for (Link& link : dev.uppers) {
    link.queue.queue(link.changed);
    TxBelow::resume_if_waiting(link.upper);  // or its frames would wait for a queue that nobody wakes any more
  }
}

void resume_uppers(Device& dev) noexcept {
  if (dev.upper_count.load() == 0) return;
  SpinGuard guard(dev.uppers_lock);
  for (Link& link : dev.uppers) TxBelow::resume_if_waiting(link.upper);
}

void unlink_all(Device& dev) {
  unregister_rx_handlers(dev);
  while (!wanted_of(dev).lowers.empty()) unlink_one(wanted_of(dev).lowers.front());
  while (!dev.uppers.empty()) unlink_one(dev.uppers.front(), true);
}

}  // namespace usernic
