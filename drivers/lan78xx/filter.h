// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the chip's receive filter, programmed by the core's commands.
//
//   own address, 32 others   perfect filters     two transfers an add, one a del
//   groups beyond them       512 hash buckets    four a change: a word of the RAM
//   VLAN ids                 4,096 bits          four a change
//   flags                    one register        one
//
// It remembers what the chip holds as far as that is known, and changes it when the chip has said yes. The RAM is not
// known to be empty after a reset: a table is written whole before it counts, and only then.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>

#include "drivers/lan78xx/registers.h"
#include "drivers/lan78xx/regs.h"
#include "usernic/rx_filter.h"

namespace usernic::lan78xx {

class Filter {
 public:
  static constexpr RxFilterCaps kCaps{.unicast_slots = kMafs - 1,
                                      .shared_slots = true,
                                      .multicast_hash_buckets = kBuckets,
                                      .vlan_slots = 32 * kVlanWords};

  // After a reset of the chip: own address and broadcast only, every VLAN. Context: process.
  Result<> begin(Registers& chip, const MacAddress& own);
  Result<> set_own(Registers& chip, const MacAddress& own);
  Result<> execute(Registers& chip, const RxCommand& command);

 private:
  // From the first bit of the RAM to what it is for.
  static constexpr uint32_t kHashBegin = 32 * kVlanWords;
  struct Flags {
    bool promisc = false, allmulti = false, hash = false, vlan_filter = false;
  };

  Result<> add(Registers& chip, const MacAddress& address);
  Result<> del(Registers& chip, const MacAddress& address);
  Result<> set_bit(Registers& chip, uint32_t bit, bool on);
  Result<> set_bucket(Registers& chip, uint32_t bucket, bool on);
  Result<> set_flags(Registers& chip, Flags flags);
  Result<> complete(Registers& chip, uint32_t first_word, uint32_t words);

  Flags flags_;
  std::array<MacAddress, kMafs> slots_{};      // zero: free; else it may hold that address
  std::array<uint32_t, kTableWords> words_{};  // of the RAM
  std::bitset<kTableWords> written_;           // since the reset
};

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/lan78xx_test.cc
