// SPDX-License-Identifier: Apache-2.0 OR MIT
// bridge: the forwarding database: at which port each station is, as frames of it showed, or as somebody said.
//
// A table of fixed size, made once: sets of eight places, of which a hash with a secret chooses one. In a full set a
// new station takes the place of the learned one that was silent longest, so a flood of invented addresses costs other
// stations their entries, and never memory. A learned entry that was not renewed for the ageing time is none; a static
// one stays, and frames from elsewhere do not move it. [kernel: net/bridge/br_fdb.c; 802.1D: 7.9]
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/lock.h"
#include "usernic/mac_address.h"

namespace usernic {

class Fdb {
 public:
  static constexpr size_t kSets = 512, kWays = 8;
  using PortNumber = uint8_t;
  struct Entry {
    MacAddress address;  // zero: none
    PortNumber port = 0;
    bool is_static = false;
    Time seen{};
  };

  explicit Fdb(Duration ageing);

  // Context: any but hard irq. A station is a unicast address.
  void learn(const MacAddress& station, PortNumber port, Time now) noexcept USERNIC_NONBLOCKING;
  std::optional<PortNumber> find(const MacAddress& station, Time now) const noexcept USERNIC_NONBLOCKING;

  // ENOSPC: its set is full of static ones.
  Result<> add_static(const MacAddress& station, PortNumber port) noexcept;
  // ENOENT: there is no static one.
  Result<> del_static(const MacAddress& station) noexcept;
  // What was learned at the port / all of it.
  void forget_learned(PortNumber port) noexcept { forget(port, false); }
  void forget_all(PortNumber port) noexcept { forget(port, true); }
  std::vector<Entry> entries(Time now) const;  // by address

 private:
  using Set = std::array<Entry, kWays>;
  bool live(const Entry& entry, Time now) const noexcept USERNIC_NONBLOCKING {
    return !entry.address.is_zero() && (entry.is_static || now - entry.seen < ageing_);
  }
  Set& set_of(const MacAddress& station) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  static Entry* in(Set& set, const MacAddress& station) noexcept USERNIC_NONBLOCKING;
  static Entry* room_in(Set& set) noexcept USERNIC_NONBLOCKING;
  void forget(PortNumber port, bool statics) noexcept;

  static constexpr LockClass kClass{"bridge_fdb"};
  const Duration ageing_;
  const uint64_t secret_;
  mutable SpinLock lock_{kClass};
  const std::unique_ptr<Set[]> sets_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic
// Explained best by: drivers/bridge/fdb_test.cc
