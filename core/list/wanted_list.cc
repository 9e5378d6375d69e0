// SPDX-License-Identifier: Apache-2.0 OR MIT
// A list: its users' side, its readers', and stacked devices' sync.
#include <algorithm>
#include <memory>
#include <new>

#include "core/list/stack_graph.h"
#include "core/list/wanted.h"
#include "core/lock/mutation.h"
#include "usernic/address_list.h"

namespace usernic {
namespace {

using Refs = Result<uint64_t>;  // AddressEntry::refs as they become, or why not
using Entry = AddressEntry;
enum class Absent { kMake, kRefuse };

// What is left where there is no memory for an entry: an address that has one takes none.
template <class Become>
[[gnu::cold, gnu::noinline]] Result<> change_known(WantedList& table, const AddressIndex::Key& key, Become&& become) {
  return table.wanted().apply(
      [&]() -> Result<> {
        addr_list_lock.assert_held();
        AddressEntry* const entry = table.find(key);
        if (entry == nullptr) return fail(std::errc::not_enough_memory);
        const Refs refs = become(entry->refs);
        if (!refs) return fail(refs.error());
        table.set_refs(*entry, *refs);
        return {};
      },
      {.entries = 0});
}

// One change of one address: `become` maps the references that it has to those that it gets.
template <class Become>
[[gnu::always_inline]] inline Result<> change(AddressList& list, const MacAddress& address, Absent absent,
                                              Become&& become) {
  WantedList& table = WantedList::of(list);
  const AddressIndex::Key key = table.key_of(address);
  const Result<> result = table.wanted().apply(
      [&]() __attribute__((always_inline))->Result<> {
        addr_list_lock.assert_held();
        AddressEntry* const entry = absent == Absent::kMake ? &table.find_or_make(key) : table.find(key);
        if (entry == nullptr) return fail(std::errc::no_such_file_or_directory);
        const Refs refs = become(entry->refs);
        if (!refs) return fail(refs.error());
        table.set_refs(*entry, *refs);
        return {};
      },
      {.entries = absent == Absent::kMake ? 1u : 0u});
  if (!result && result.error() == std::errc::not_enough_memory) [[unlikely]]
    return change_known(table, key, become);
  return result;
}

}  // namespace

Result<> AddressList::add(const MacAddress& address) {
  return change(*this, address, Absent::kMake, [](uint64_t refs) -> Refs { return refs + Entry::kUser; });
}

Result<> AddressList::add_excl(const MacAddress& address) {
  return change(*this, address, Absent::kMake, [](uint64_t refs) -> Refs {
    if (Entry::referenced(refs)) return fail(std::errc::file_exists);
    return refs | Entry::kGlobal;
  });
}

Result<> AddressList::add_global(const MacAddress& address) {
  return change(*this, address, Absent::kMake, [](uint64_t refs) -> Refs { return refs | Entry::kGlobal; });
}

Result<> AddressList::del(const MacAddress& address) {
  return change(*this, address, Absent::kRefuse, [](uint64_t refs) -> Refs {
    if (refs >= Entry::kUser) return refs - Entry::kUser;
    if ((refs & Entry::kGlobal) != 0) return refs & ~Entry::kGlobal;
    return fail(std::errc::no_such_file_or_directory);
  });
}

Result<> AddressList::del_global(const MacAddress& address) {
  return change(*this, address, Absent::kRefuse, [](uint64_t refs) -> Refs {
    if ((refs & Entry::kGlobal) == 0) return fail(std::errc::no_such_file_or_directory);
    return refs & ~Entry::kGlobal;
  });
}

Result<> AddressList::flush() {
  Result<> result;
  WantedList::of(*this).read([&](const EntryView& view) {
    if (view.references == 0 || !result) return;
    const Result<> flushed = change(*this, view.address, Absent::kRefuse, [](uint64_t refs) -> Refs {
      return refs % Entry::kUser & ~Entry::kGlobal;  // the uppers' are theirs
    });
    if (!flushed && flushed.error() != std::errc::no_such_file_or_directory) result = flushed;
  });
  return result;
}

bool AddressList::contains(const MacAddress& address) const {
  return references(address) != 0;
}

uint32_t AddressList::references(const MacAddress& address) const {
  const WantedList& table = WantedList::of(*this);
  const AddressIndex::Key key = table.key_of(address);
  ListGuard guard(table.wanted().lock, table.wanted().level());
  const AddressEntry* entry = table.find(key);
  return entry != nullptr ? static_cast<uint32_t>(entry->references()) : 0;
}

uint32_t AddressList::size() const {
  return WantedList::of(*this).referenced();
}

std::vector<MacAddress> AddressList::snapshot() const {
  std::vector<MacAddress> addresses;
  WantedList::of(*this).read([&addresses](const EntryView& view) {
    if (view.references != 0) addresses.push_back(view.address);
  });
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

namespace {

// Makes `to` a subscriber of `from`, once.
Result<> subscribe(WantedList& to, WantedList& from) {
  {
    ListGuard guard(to.wanted().lock, to.wanted().level());
    if (to.wanted().gone) return fail(std::errc::no_such_device);
  }
  std::unique_ptr<Subscriber> subscriber(new (std::nothrow) Subscriber);
  if (subscriber == nullptr) return fail(std::errc::not_enough_memory);
  subscriber->to = &to;
  subscriber->to_dev = DeviceHandle(to.wanted().dev);
  StackGuard stack(to.wanted());
  const Result<bool> loop = stack.leads_to(to.wanted(), from.wanted());
  if (!loop) return fail(loop.error());
  if (*loop) return fail(std::errc::too_many_symbolic_link_levels);
  ListGuard guard(from.wanted().lock, from.wanted().level());
  if (from.wanted().gone) return fail(std::errc::no_such_device);
  if (from.subscriber_of(to) != nullptr) return {};
  if (!from.subscribe(*subscriber)) return fail(std::errc::no_space_on_device);
  subscriber.release();  // unsync deletes it
  return {};
}

enum class Step { kMore, kDone, kNotSubscribed, kGone, kNoMemory };

constexpr size_t kStepEntries = AddressTable::kChunk + 2;  // and the own address, and the one before it

// Runs `step(subscriber)` with both locks, upper then lower, room for `entries` in the lower pool. Drain and apply are
// one critical section, so that nobody else applies a later change first (rule R15).
template <class Body>
Step locked_step(WantedList& to, WantedList& from, size_t entries, Body&& body) {
  if (!to.wanted().reserve({.entries = entries})) return Step::kNoMemory;
  bool changed = false;
  bool has_lowers = false;
  Step step = Step::kMore;
  {
    ListGuard upper(from.wanted().lock, from.wanted().stack_level);
    Subscriber* const subscriber = from.subscriber_of(to);
    if (subscriber == nullptr) return Step::kNotSubscribed;
    SpinGuardBh lower(to.wanted().lock,
                      std::max(to.wanted().level(), from.wanted().level() + 1));  // it need not be linked
    const bool gone = to.wanted().gone;
    if (!gone && to.wanted().pool.free_entries() < entries) return Step::kMore;
    const uint64_t before = to.wanted().generation;
    if (body(*subscriber)) step = gone ? Step::kGone : Step::kDone;
    changed = to.wanted().generation != before;
    has_lowers = !to.wanted().lowers.empty();
  }
  if (!changed) return step;
  to.wanted().run.owe();
  if (has_lowers && !to.wanted().serve_once()) to.wanted().owe_serve();
  return step;
}

// What R15 forbids, for the simulator: an entry is drained under one hold, and told under another.
struct LateEntry {
  MacAddress address;
  bool wanted;
};
bool drain_only(WantedList& from, AddressEntry& entry, uint64_t bit, std::vector<LateEntry>& late)
    USERNIC_REQUIRES(addr_list_lock) {
  const bool wanted = entry.referenced();
  if (wanted == ((entry.told & bit) != 0)) return true;
  late.push_back({entry.address(), wanted});
  wanted ? void(entry.told |= bit) : from.release(entry, bit);
  return true;
}
void tell_late(WantedList& to, WantedList& from, const std::vector<LateEntry>& late) {
  (void)locked_step(to, from, kStepEntries, [&](Subscriber&) {
    addr_list_lock.assert_held();
    for (const LateEntry& each : late) {
      AddressEntry& below = to.find_or_make(each.address);
      to.set_refs(below, each.wanted ? below.refs + Entry::kUpper : below.refs - Entry::kUpper);
    }
    return true;
  });
}

}  // namespace

namespace {

bool may_follow(const WantedList& to, const WantedList& from) noexcept USERNIC_NONBLOCKING {
  return &to.wanted() != &from.wanted() && &to.wanted().stacks == &from.wanted().stacks &&
         to.address_class() == from.address_class();
}

}  // namespace

Result<> sync(AddressList& to_list, AddressList& from_list) {
  WantedList& to = WantedList::of(to_list);
  WantedList& from = WantedList::of(from_list);
  if (!may_follow(to, from)) return fail(std::errc::invalid_argument);
  while (true) {
    std::vector<LateEntry> late;
    const Step step = locked_step(to, from, kStepEntries, [&](Subscriber& subscriber) {
      addr_list_lock.assert_held();
      if (subscriber.ending) return true;  // an unsync is under way
      const MacAddress own = from.wanted().own;
      tell_own_entry(from, std::exchange(subscriber.own, own), subscriber.bit, to, true);
      tell_own_entry(from, own, subscriber.bit, to, true);
      return from.drain_chunk(subscriber, from.wanted().generation, [&](AddressEntry& entry) {
        addr_list_lock.assert_held();
        if (mutated(Mutation::kR15) && drain_only(from, entry, subscriber.bit, late)) return;
        tell_entry(from, entry, subscriber.bit, to, entry.referenced());
      });
    });
    if (mutated(Mutation::kR15)) tell_late(to, from, late);
    if (step == Step::kDone) return {};
    if (step == Step::kGone) return fail(std::errc::no_such_device);
    if (step == Step::kNoMemory) return fail(std::errc::not_enough_memory);
    if (step != Step::kNotSubscribed) continue;
    if (const Result<> result = subscribe(to, from); !result) return result;
  }
}

Result<> sync_when_unlocked(AddressList& to_list, AddressList& from_list, Place where) noexcept {
  WantedList& to = WantedList::of(to_list);
  WantedList& from = WantedList::of(from_list);
  from.wanted().lock.assert_held(where);
  addr_list_lock.assert_held();
  if (!may_follow(to, from)) return fail(std::errc::invalid_argument);
  return from.wanted().put_off_syncs.add(to, from, where);
}

void unsync(AddressList& to_list, AddressList& from_list) {
  WantedList& to = WantedList::of(to_list);
  WantedList& from = WantedList::of(from_list);
  std::unique_ptr<Subscriber> ended;
  bool rewound = false;
  while (ended == nullptr) {
    // What is taken back is there: that takes no entry.
    const Step step = locked_step(to, from, 0, [&](Subscriber& subscriber) {
      addr_list_lock.assert_held();
      if (!rewound) from.rewind(subscriber);
      rewound = subscriber.ending = true;
      const bool last = from.drain_chunk(subscriber, UINT64_MAX, [&](AddressEntry& entry) {
        addr_list_lock.assert_held();
        tell_entry(from, entry, subscriber.bit, to, false);
      });
      if (last) {
        from.unsubscribe(subscriber);
        ended.reset(&subscriber);
      }
      return last;
    });
    if (step == Step::kNotSubscribed) return;
  }
}

uint64_t WantedList::begin(Subscriber& cursor) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  begin_read(cursor);
  return wanted_.generation;
}

void WantedList::end(Subscriber& cursor) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  end_read(cursor);
}

bool WantedList::copy_chunk(Subscriber& cursor, uint64_t target, std::array<EntryView, kChunk>& views,
                            size_t& count) const {
  ListGuard guard(wanted_.lock, wanted_.level());
  return read_chunk(cursor, target, [&](const AddressEntry& entry) { views[count++] = EntryView(entry); });
}

}  // namespace usernic
