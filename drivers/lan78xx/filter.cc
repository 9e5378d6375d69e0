// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/filter.h"

#include <algorithm>

namespace usernic::lan78xx {

Result<> Filter::begin(Registers& chip, const MacAddress& own) {
  flags_ = {};
  slots_ = {};
  words_ = {};
  words_[0] = 1;  // id 0 is no VLAN: a frame that has only a priority passes
  written_.reset();
  if (const Result<> done = chip.write(kDpSel, kDpRamVlanAndHash); !done) return done;
  if (const Result<> done = set_own(chip, own); !done) return done;
  return set_flags(chip, {});
}

Result<> Filter::set_own(Registers& chip, const MacAddress& own) {
  if (const Result<> done = chip.write(kRxAddrL, address_lo(own)); !done) return done;
  if (const Result<> done = chip.write(kRxAddrH, address_hi(own)); !done) return done;
  if (const Result<> done = chip.write(maf_lo(0), address_lo(own)); !done) return done;
  return chip.write(maf_hi(0), address_hi(own) | kMafValid);
}

Result<> Filter::execute(Registers& chip, const RxCommand& command) {
  const bool on = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kAdd ||
                  command.kind == RxCommandKind::kSetBucket;
  Flags flags = flags_;
  switch (command.object) {
    case RxObject::kUnicast:
    case RxObject::kMulticast:
      if (command.kind == RxCommandKind::kSetBucket || command.kind == RxCommandKind::kClearBucket) {
        return set_bucket(chip, command.bucket, on);
      }
      return on ? add(chip, command.address) : del(chip, command.address);
    case RxObject::kVlan:
      return command.vlan == 0 ? Result<>() : set_bit(chip, command.vlan, on);
    case RxObject::kVlanUnfiltered:
      flags.vlan_filter = !on;
      if (on) break;
      if (const Result<> done = complete(chip, 0, kVlanWords); !done) return done;
      break;
    case RxObject::kPromisc:
      flags.promisc = on;
      break;
    case RxObject::kAllmulti:
      flags.allmulti = on;
      break;
  }
  return set_flags(chip, flags);
}

// A filter that is off lets its address through only when both halves are written.
Result<> Filter::add(Registers& chip, const MacAddress& address) {
  auto slot = std::ranges::find(slots_.begin() + 1, slots_.end(), address);
  if (slot == slots_.end()) slot = std::ranges::find(slots_.begin() + 1, slots_.end(), MacAddress());
  if (slot == slots_.end()) return fail(std::errc::no_space_on_device);
  *slot = address;
  const auto n = static_cast<uint32_t>(slot - slots_.begin());
  if (const Result<> done = chip.write(maf_lo(n), address_lo(address)); !done) return done;
  return chip.write(maf_hi(n), address_hi(address) | kMafValid);
}

Result<> Filter::del(Registers& chip, const MacAddress& address) {
  const auto slot = std::ranges::find(slots_.begin() + 1, slots_.end(), address);
  if (slot == slots_.end()) return {};
  const Result<> done = chip.write(maf_hi(static_cast<uint32_t>(slot - slots_.begin())), 0);
  if (done) *slot = MacAddress();
  return done;
}

// A bit that failed is either; the core sets it again, or takes it off.
Result<> Filter::set_bit(Registers& chip, uint32_t bit, bool on) {
  const uint32_t word = bit / 32, mask = uint32_t{1} << bit % 32;
  const uint32_t value = on ? words_[word] | mask : words_[word] & ~mask;
  if (const Result<> done = chip.write_ram(word, value); !done) return done;
  words_[word] = value;
  written_[word] = true;
  return {};
}

Result<> Filter::set_bucket(Registers& chip, uint32_t bucket, bool on) {
  if (const Result<> done = set_bit(chip, kHashBegin + bucket, on); !done || flags_.hash) return done;
  if (const Result<> done = complete(chip, kVlanWords, kHashWords); !done) return done;
  Flags flags = flags_;
  flags.hash = true;
  return set_flags(chip, flags);
}

// Writes what was not written yet. Who is stopped in the middle goes on there the next time.
Result<> Filter::complete(Registers& chip, uint32_t first_word, uint32_t words) {
  for (uint32_t word = first_word; word < first_word + words; ++word) {
    if (written_[word]) continue;
    if (const Result<> done = chip.write_ram(word, words_[word]); !done) return done;
    written_[word] = true;
  }
  return {};
}

Result<> Filter::set_flags(Registers& chip, Flags flags) {
  uint32_t control = kRfeSums | kRfeBroadcast | kRfePerfect;
  if (flags.promisc) control |= kRfeAllUnicast;
  if (flags.promisc || flags.allmulti) control |= kRfeAllMulticast;
  if (flags.hash) control |= kRfeMulticastHash;
  if (flags.vlan_filter) control |= kRfeVlanFilter;
  if (const Result<> done = chip.write(kRfeCtl, control); !done) return done;
  flags_ = flags;
  return {};
}

}  // namespace usernic::lan78xx
