// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one of a device's two lists behind AddressList: the table, and whose it is.
#pragma once

#include <array>

#include "core/list/address_table.h"
#include "usernic/address_list.h"

namespace usernic {

class Wanted;

// One entry as a reader copies it under the lock.
struct EntryView {
  explicit EntryView(const AddressEntry& entry) noexcept
      : address(entry.address()),
        references(entry.references()),
        wanted(entry.wanted()),
        told((entry.told & AddressTable::kCardBit) != 0),
        sure(entry.sure),
        covers(entry.covers()),
        attempts(entry.card().retry.attempts()),
        error(entry.card().error),
        bucket(entry.card().bucket),
        due(entry.card().retry.due()) {}
  EntryView() = default;

  MacAddress address;
  uint64_t references;
  bool wanted;
  bool told;    // the card was told of it
  bool sure;    // programmed exactly
  bool covers;  // and not about to be taken off
  uint32_t attempts;
  std::errc error;
  uint32_t bucket;
  Time due;
};

class WantedList final : public AddressList, public AddressTable {
 public:
  WantedList(Wanted& wanted, ChangeCount& changes, EntryPool& pool, AddressClass address_class, uint64_t seed)
      : AddressTable(changes, pool, address_class, seed), wanted_(wanted) {}

  static WantedList& of(AddressList& list) noexcept { return static_cast<WantedList&>(list); }
  static const WantedList& of(const AddressList& list) noexcept { return static_cast<const WantedList&>(list); }
  Wanted& wanted() const noexcept { return wanted_; }

  // Without the lock: visits a copy of every entry that does not change meanwhile, in chunks. An entry that does may be
  // missed or come out as it was.
  template <class Visit>
  void read(Visit&& visit) const;

 private:
  uint64_t begin(Subscriber& cursor) const;
  void end(Subscriber& cursor) const;
  bool copy_chunk(Subscriber& cursor, uint64_t target, std::array<EntryView, kChunk>& views, size_t& count) const;

  Wanted& wanted_;
};

template <class Visit>
void WantedList::read(Visit&& visit) const {
  std::array<EntryView, kChunk> views;
  Subscriber cursor;
  const uint64_t target = begin(cursor);
  for (bool last = false; !last;) {
    size_t count = 0;
    last = copy_chunk(cursor, target, views, count);
    for (size_t i = 0; i < count; ++i) visit(views[i]);
  }
  end(cursor);
}

}  // namespace usernic
