// SPDX-License-Identifier: Apache-2.0 OR MIT
// The users' and readers' side of the rx mode, and its place in the device's life.
#include "usernic/rx_mode.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "core/current_work.h"
#include "core/device.h"
#include "core/mutation.h"
#include "core/rx_mode_engine.h"

namespace usernic {
namespace {

RxModeEngine& engine_of(RxMode& mode) {
  return static_cast<RxModeEngine&>(mode);
}
const RxModeEngine& engine_of(const RxMode& mode) {
  return static_cast<const RxModeEngine&>(mode);
}

}  // namespace

std::string_view filter_mode_name(FilterMode mode) noexcept {
  switch (mode) {
    case FilterMode::kNone:
      return "none";
    case FilterMode::kExact:
      return "exact";
    case FilterMode::kHash:
      return "hash";
    case FilterMode::kAllmulti:
      return "allmulti";
    case FilterMode::kPromisc:
      return "promisc";
  }
  return "unknown";
}

RxModeEngine::RxModeEngine(Device& dev, Duration retry_first)
    : wanted(dev, random_u64()),
      dev_(dev),
      work_([this] { run(); }, &dev),
      retry_([this] { run(); }, &dev),
      serve_([this] { serve_lowers(); }, &dev),
      retry_first_(retry_first),
      uc_(wanted.uc),
      mc_(wanted.mc) {
  if (dev_.ops.rx_image != nullptr) image_ = std::make_unique<RxImagePair>(*dev_.ops.rx_image);
  for (CardClass* each : {&uc_, &mc_}) each->table.follow(each->card);  // before anybody else: AddressTable::kCardBit
}

RxModeEngine::~RxModeEngine() {
  for (CardClass* each : {&uc_, &mc_}) {
    if (each->card.bit != 0) each->table.unfollow(each->card);
  }
}

void RxModeEngine::configure(const RxFilterCaps& driver_caps) {
  const RxFilterCaps caps = caps_ = caps_of_style(driver_caps);
  tables_[0] = {.slots = caps.unicast_slots, .limit = caps.unicast_slots};
  tables_[1] = {.slots = caps.multicast_slots, .limit = caps.multicast_slots};
  for (CardClass* each : {&uc_, &mc_}) {
    each->bucket_of = dev_.ops.rx_hash;
    each->driver = dev_.driver_;
    each->retry_first = retry_first_;
  }
  if (!wanted.reserve(1)) throw std::bad_alloc();
  SpinGuardBh guard(wanted.lock, wanted.level());
  uc_.configure(tables_[0], caps_.unicast_hash_buckets);
  mc_.configure(caps.shared_slots ? tables_[0] : tables_[1], caps_.multicast_hash_buckets);
  if (caps_.own_address_uses_slot) wanted.uc.set_own(wanted.own, true);
}

void RxModeEngine::own_changed(const MacAddress& address) {
  const Result<> changed = wanted.apply(
      [&]() -> Result<> {
        if (address == wanted.own) return {};
        if (caps_.own_address_uses_slot) {
          // The new one first: an address that is taken away and given again in between was never wanted twice.
          wanted.uc.set_own(address, true);
          wanted.uc.set_own(wanted.own, false);
        }
        wanted.own = address;
        wanted.scalar_changed();
        for (Link& upper : dev_.uppers) upper.settle_own();
        return {};
      },
      2);
  if (!changed && changed.error() == std::errc::not_enough_memory) throw std::bad_alloc();
}

void RxModeEngine::opened() {
  card_epoch_.fetch_add(1);  // an empty filter, whatever was there before
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    uc_.table.rewind(uc_.card);
    mc_.table.rewind(mc_.card);
    oldest_change_ = kForever;  // the time it was down is no lag
    wanted.dirty = false;
    committed_.up = true;
  }
  owe_run();
}

void RxModeEngine::closed() {
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    committed_.up = false;
    committed_.generation = 0;
  }
  uc_.forget_all(true);
  mc_.forget_all(true);
  published_.wake();
}

void RxModeEngine::shut_down() {
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    if (wanted.gone) return;
    wanted.gone = true;
  }
  published_.wake();
  work_.disable_sync();
  retry_.disable_sync();
  serve_.disable_sync();
}

void RxModeEngine::owe_run() noexcept {
  if (claim_run()) queue_run();
}

bool RxModeEngine::claim_run() noexcept {
  if (!dev_.running_.load()) return false;  // open owes one
  return !owed_.load() && !owed_.exchange(true);
}
void RxModeEngine::queue_run() noexcept {
  dev_.lane_queue.queue(work_);
}

void RxModeEngine::owe_serve() noexcept {
  dev_.lane_queue.queue(serve_);
}

// A hold at a time: other devices' changers get their turn in between.
void RxModeEngine::serve_lowers() {
  while (!serve_once()) {
  }
}

bool RxModeEngine::serve_once() {
  Propagation below;  // finishes after the lock is gone
  LevelGuard guard(wanted.lock, wanted.stack_level);
  return below.serve(wanted);
}

void RxModeEngine::forget() noexcept {
  card_epoch_.fetch_add(1);
  owe_run();
}

// Is what was committed still true of the card?
bool RxModeEngine::valid() const noexcept {
  return committed_.up && committed_.epoch == card_epoch_.load();
}

bool RxModeEngine::covers_entry(AddressClass address_class, bool sure, uint32_t bucket) const noexcept {
  if (!valid()) return false;
  const bool multicast = address_class == AddressClass::kMulticast;
  const HashImage& hash = multicast ? mc_.hash : uc_.hash;
  return sure || promisc_.sure || (multicast && allmulti_.sure) || (hash.buckets() != 0 && hash.sure[bucket]);
}

bool RxModeEngine::covers(const MacAddress& address) const {
  SpinGuardBh guard(wanted.lock, wanted.level());
  if (wanted.gone || !valid()) return false;
  if (address.is_broadcast() || (address == wanted.own && !caps_.own_address_uses_slot)) return true;
  const CardClass& each = class_wanting(address);
  const AddressEntry* entry = each.table.find(address);
  const bool has_hash = each.hash.buckets() != 0;
  uint32_t bucket = 0;
  if (has_hash) bucket = each.bucket(address);
  return covers_entry(each.table.address_class(), entry != nullptr && entry->covers(), bucket);
}

Result<bool> RxModeEngine::ticket_state(const RxTicket& ticket) const {
  SpinGuardBh guard(wanted.lock, wanted.level());
  if (wanted.gone) return fail(std::errc::no_such_device);
  if (!committed_.up) return fail(std::errc::network_down);
  const CardClass& each = class_wanting(ticket.address);
  const AddressEntry* entry = each.table.find(ticket.address);
  if (entry == nullptr || !entry->wanted() || entry->generation > ticket.generation) {
    return fail(std::errc::operation_canceled);
  }
  // Not by luck: what carries an address that no run has seen as wanted may be on its way off the card.
  const bool seen = (entry->held & AddressTable::kCardBit) != 0 && entry->generation <= target_.generation;
  if (seen && covers_entry(each.table.address_class(), entry->covers(), entry->card().bucket)) return true;
  const auto index = static_cast<size_t>(each.table.address_class());
  const bool drained = committed_.generation >= ticket.generation;
  if (drained && entry->card().attempts == 0 && committed_.level[index] == FilterLevel::kDegraded) {
    return fail(std::errc::no_space_on_device);
  }
  return false;
}

// A run is what ends the wait, and a run needs the lane.
void RxModeEngine::check_may_wait(Place where) const {
  const ReportsOn concerned(dev_);
  if (!dev_.lane_queue.is_current()) return check_wait(dev_.lane_queue, "waiting for the rx mode", where);
  report_contract("wait-on-lane", "an item of a lane, or who parked it, waits for that lane's rx-mode work", where);
}

Result<> RxModeEngine::wait_ticket(const RxTicket& ticket, Time deadline, Place where) const {
  check_may_wait(where);
  while (true) {
    const uint32_t seen = published_.sequence();
    const Result<bool> state = ticket_state(ticket);
    if (!state) return fail(state.error());
    if (*state) return {};
    if (Clock::now() >= deadline) break;
    published_.wait_since(seen, deadline, where);
  }
  SpinGuardBh guard(wanted.lock, wanted.level());
  const AddressEntry* entry = class_wanting(ticket.address).table.find(ticket.address);
  const bool failed = entry != nullptr && entry->card().attempts != 0;
  return fail(failed ? entry->card().error : std::errc::timed_out);
}

Result<> RxModeEngine::wait_settled(Time deadline, Place where) const {
  check_may_wait(where);
  uint64_t target;
  {
    SpinGuardBh guard(wanted.lock, wanted.level());
    target = wanted.generation;
  }
  while (true) {
    const uint32_t seen = published_.sequence();
    {
      SpinGuardBh guard(wanted.lock, wanted.level());
      if (wanted.gone) return fail(std::errc::no_such_device);
      if (!committed_.up) return fail(std::errc::network_down);
      const bool owes =
          committed_.uncovered != 0 || committed_.parked != 0 || committed_.narrow_deferred || !committed_.in_effect;
      if (valid() && committed_.generation >= target && (!owes || mutated(Mutation::kSettleEarly))) return {};
    }
    if (Clock::now() >= deadline) return fail(std::errc::timed_out);
    published_.wait_since(seen, deadline, where);
  }
}

// That of its own class, unless it is wanted by the other list only.
const CardClass& RxModeEngine::class_wanting(const MacAddress& address) const noexcept {
  const CardClass& usual = address.is_multicast() ? mc_ : uc_;
  const CardClass& other = address.is_multicast() ? uc_ : mc_;
  const auto wants = [&address](const CardClass& each) {
    const AddressEntry* const entry = each.table.find(address);
    return entry != nullptr && entry->wanted();
  };
  return !wants(usual) && wants(other) ? other : usual;
}

FilterMode RxModeEngine::mode_of(AddressClass address_class) const noexcept {
  if (!valid()) return FilterMode::kNone;
  if (promisc_.sure) return FilterMode::kPromisc;
  if (address_class == AddressClass::kMulticast && allmulti_.sure) return FilterMode::kAllmulti;
  if (committed_.generation == 0) return FilterMode::kNone;
  return committed_.level[static_cast<size_t>(address_class)] == FilterLevel::kHash ? FilterMode::kHash
                                                                                    : FilterMode::kExact;
}

namespace {

struct Reasons {
  std::string text;
  void add(std::string reason) {
    if (!text.empty()) text += "; ";
    text += reason;
  }
};

}  // namespace

// Why the VLAN filter is open although it is asked for.
std::string RxModeEngine::vlan_reason() const {
  const size_t ids = committed_.vlans_wanted;
  const auto room = [&]() -> std::string {
    switch (committed_.vlans_unfit) {
      case VlansUnfit::kTooMany:
        return fmt::format("{} slot{}", caps_.vlan_slots, caps_.vlan_slots == 1 ? "" : "s");
      case VlansUnfit::kRefused:
        return "the card refused one";
      default:
        return "no slots";
    }
  };
  return fmt::format("{} VLAN{}, {}: filter {}", ids, ids == 1 ? "" : "s", room(),
                     vlan_unfiltered_.sure ? "open" : "still closed");
}

std::string RxModeEngine::reason() const {
  if (!committed_.up) return "the device is down";
  if (committed_.generation == 0) return "nothing is programmed yet";
  if (!valid()) return "the card forgot its filter";
  Reasons reasons;
  const auto asked_for = [&](const char* what, uint32_t times) {
    if (times != 0) reasons.add(fmt::format("{} asked for {} {}", what, times, times == 1 ? "time" : "times"));
  };
  asked_for("promiscuity", wanted.promiscuity.total());
  asked_for("allmulti", wanted.allmulti.total());
  for (size_t i = 0; i < 2; ++i) {
    const FilterLevel level = committed_.level[i];
    if (level == FilterLevel::kExact) continue;
    const char* const what = i == 0 ? "unicast" : "multicast";
    const uint32_t slots = (i == 1 && !caps_.shared_slots ? tables_[1] : tables_[0]).slots;
    const bool no_filter = i == 0 && slots == 0 && caps_.unicast_hash_buckets == 0;
    const std::string table = no_filter ? "no unicast filter"
                              : slots == UINT32_MAX
                                  ? "a full card"
                                  : fmt::format("{}{} slots", caps_.shared_slots ? "shared " : "", slots);
    reasons.add(fmt::format("{} {} addresses, {}{}", committed_.wanted[i], what, table,
                            committed_.outside[i] != 0                     ? ""
                            : level == FilterLevel::kDegraded || no_filter ? ""
                                                                           : " (leaves at 3/4)"));
    if (level == FilterLevel::kDegraded) reasons.add(fmt::format("nothing wider than {} exact entries", what));
  }
  if (committed_.vlans_unfit != VlansUnfit::kNo) reasons.add(vlan_reason());
  if (committed_.image_full) reasons.add("the card has no room for every address");
  if (committed_.narrow_deferred) reasons.add("narrowing is deferred until every address is programmed");
  if (reasons.text.empty()) return "everything fits";
  return std::move(reasons.text);
}

void RxModeEngine::fill(RxModeStatus& status) const {
  SpinGuardBh guard(wanted.lock, wanted.level());
  status.up = committed_.up;
  status.own_address = wanted.own;
  status.generation_wanted = wanted.generation;
  status.generation_programmed = valid() ? committed_.generation : 0;
  status.unicast_mode = mode_of(AddressClass::kUnicast);
  status.multicast_mode = mode_of(AddressClass::kMulticast);
  status.promiscuity = wanted.promiscuity.total();
  status.allmulti = wanted.allmulti.total();
  status.vlan_filter = wanted.vlan_filter;
  status.programmed_promisc = valid() && promisc_.sure;
  status.programmed_allmulti = valid() && allmulti_.sure;
  const auto list = [](const VlanSet& ids, std::vector<uint16_t>& to) {
    for (size_t id = ids._Find_first(); id < kVlanIds; id = ids._Find_next(id)) to.push_back(static_cast<uint16_t>(id));
  };
  list(wanted.vlans, status.wanted_vlans);
  if (valid()) list(committed_.vlans, status.programmed_vlans);
  status.stats = {.changes = wanted.generation,
                  .runs = committed_.runs,
                  .driver_calls = committed_.driver_calls,
                  .coalesced = committed_.coalesced,
                  .retries = committed_.retries,
                  .failures = committed_.failures,
                  .lag_p50 = committed_.lag.quantile(500),
                  .lag_p99 = committed_.lag.quantile(990),
                  .lag_max = committed_.lag.max()};
  status.reason = reason();
}

namespace {

template <class T, class Key>
void sort_unique(std::vector<T>& items, Key key) {
  std::sort(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
  items.erase(std::unique(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) == key(b); }),
              items.end());
}

}  // namespace

void RxModeEngine::fill_addresses(AddressClass address_class, RxModeStatus& status) const {
  const bool multicast = address_class == AddressClass::kMulticast;
  auto& wanted_out = multicast ? status.wanted_multicast : status.wanted_unicast;
  auto& programmed_out = multicast ? status.programmed_multicast : status.programmed_unicast;
  const Time now = Clock::now();
  bool degraded = false;
  (multicast ? wanted.mc : wanted.uc).read([&](const EntryView& view) {
    bool covered, held_exactly_or_by_hash;
    {
      SpinGuardBh guard(wanted.lock, wanted.level());
      const HashImage& hash = multicast ? mc_.hash : uc_.hash;
      const bool hashed = view.wanted && view.held && hash.buckets() != 0 && hash.sure[view.bucket];
      covered = view.held && covers_entry(address_class, view.covers, view.bucket);
      held_exactly_or_by_hash = valid() && (view.sure || hashed);
      degraded = committed_.level[static_cast<size_t>(address_class)] == FilterLevel::kDegraded;
    }
    if (view.references != 0) wanted_out.push_back(view.address);
    if (held_exactly_or_by_hash) programmed_out.push_back(view.address);
    if (view.wanted && !covered) status.uncovered.push_back(view.address);
    if (view.attempts != 0) {
      status.failed.push_back({view.address, view.error, view.attempts, std::max(view.due - now, Duration::zero())});
    } else if (view.wanted && view.held && !covered && degraded) {
      status.failed.push_back({view.address, std::errc::no_space_on_device, 0, Duration::zero()});
    }
  });
  sort_unique(wanted_out, [](const MacAddress& a) { return a; });
  sort_unique(programmed_out, [](const MacAddress& a) { return a; });
}

RxModeStatus RxMode::status() const {
  const RxModeEngine& engine = engine_of(*this);
  RxModeStatus status;
  engine.fill(status);
  engine.fill_addresses(AddressClass::kUnicast, status);
  engine.fill_addresses(AddressClass::kMulticast, status);
  sort_unique(status.failed, [](const RxModeStatus::Failed& a) { return a.address; });
  sort_unique(status.uncovered, [](const MacAddress& a) { return a; });
  return status;
}

Result<> RxMode::set_promiscuity(int change) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&] { return wanted.count(wanted.promiscuity, &ModeRefs::users, change); });
}

Result<> RxMode::set_allmulti(int change) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&] { return wanted.count(wanted.allmulti, &ModeRefs::users, change); });
}

Result<> RxMode::switch_flags(RxFlags on) {
  Wanted& wanted = engine_of(*this).wanted;
  const auto turn = [&wanted](ModeRefs& mode, bool to) {
    return wanted.apply([&]() -> Result<> {
      if ((mode.by_switch != 0) == to) return {};
      return wanted.count(mode, &ModeRefs::by_switch, to ? 1 : -1);
    });
  };
  const Result<> promisc = turn(wanted.promiscuity, on.promisc);
  const Result<> allmulti = turn(wanted.allmulti, on.allmulti);
  return promisc ? allmulti : promisc;
}

RxFlags RxMode::switched() const {
  const Wanted& wanted = engine_of(*this).wanted;
  SpinGuardBh guard(wanted.lock, wanted.level());
  return {.promisc = wanted.promiscuity.by_switch != 0, .allmulti = wanted.allmulti.by_switch != 0};
}

Result<> RxMode::set_vlan_filter(bool on) {
  Wanted& wanted = engine_of(*this).wanted;
  return wanted.apply([&]() -> Result<> {
    if (std::exchange(wanted.vlan_filter, on) != on) wanted.next_generation();
    return {};
  });
}

namespace {

Result<> change_vlan(Wanted& wanted, uint16_t id, bool add) {
  if (id >= kVlanIds) return fail(std::errc::invalid_argument);
  return wanted.apply([&]() -> Result<> {
    const uint32_t refs = wanted.vlan_refs[id];
    if (add && refs > UINT32_MAX - VlanRefs::kUser) return fail(std::errc::value_too_large);
    if (!add && refs < VlanRefs::kUser) return fail(std::errc::no_such_file_or_directory);
    wanted.set_vlan_refs(id, add ? refs + VlanRefs::kUser : refs - VlanRefs::kUser);
    return {};
  });
}

}  // namespace

Result<> RxMode::vlan_add(uint16_t id) {
  return change_vlan(engine_of(*this).wanted, id, true);
}
Result<> RxMode::vlan_del(uint16_t id) {
  return change_vlan(engine_of(*this).wanted, id, false);
}

bool RxMode::covered(const MacAddress& address) const {
  return engine_of(*this).covers(address);
}

RxTicket RxMode::ticket(const MacAddress& address) const {
  const Wanted& wanted = engine_of(*this).wanted;
  SpinGuardBh guard(wanted.lock, wanted.level());
  return {address, wanted.generation};
}

Result<> RxMode::wait(const RxTicket& ticket, Time deadline, Place where) const {
  return engine_of(*this).wait_ticket(ticket, deadline, where);
}
Result<> RxMode::settle(Time deadline, Place where) const {
  return engine_of(*this).wait_settled(deadline, where);
}

void RxMode::card_forgot() noexcept {
  engine_of(*this).forget();
}

}  // namespace usernic
