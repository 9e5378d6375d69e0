// SPDX-License-Identifier: Apache-2.0 OR MIT
// Registers and filter. Frames are in model_frames.cc.
#include "drivers/lan78xx/model.h"

#include <algorithm>
#include <utility>

namespace usernic::lan78xx {
namespace {

constexpr uint32_t kMacRxMaxDefault = 1518 << kMacRxMaxShift;
constexpr uint8_t kPhyOutside = 3;

// What a register has after a reset, where that is not zero.
constexpr struct {
  uint16_t address;
  uint32_t value;
} kDefaults[] = {{kVlanType, 0x8100},    {kPmtCtl, kPmtReady},      {kMacRx, kMacRxMaxDefault | kMacDisabled},
                 {kMacTx, kMacDisabled}, {kFctRxCtl, kFctDisabled}, {kFctTxCtl, kFctDisabled},
                 {kDpSel, kDpReady},     {kBulkInDly, 0x0800},      {kE2pData, 0xff}};

}  // namespace

std::span<const uint8_t> Model::device_descriptor() const {
  // USB 2.0, a class of its own, 64 octets on endpoint 0; strings 1 to 3, one configuration.
  static constexpr auto of = [](uint16_t chip) {
    return std::array<uint8_t, 18>{
        18, 1, 0x00, 0x02, 0xff, 0, 0xff, 64, 0x24, 0x04, uint8_t(chip), uint8_t(chip >> 8), 0x00, 0x03, 1, 2, 3, 1};
  };
  static constexpr std::array<uint8_t, 18> k7800 = of(0x7800), k7801 = of(0x7801), k7850 = of(0x7850);
  return chip_ == 0x7801 ? k7801 : chip_ == 0x7850 ? k7850 : k7800;
}

std::span<const uint8_t> Model::configuration_descriptor() const {
  static constexpr uint8_t kOctets[] = {9, 2,    39,
                                        0, 1,    kConfiguration,
                                        0, 0xa0, 125,  //
                                        9, 4,    0,
                                        0, 3,    0xff,
                                        0, 0xff, 0,  //
                                        7, 5,    kBulkIn,
                                        2, 0,    2,
                                        0,  //
                                        7, 5,    kBulkOut,
                                        2, 0,    2,
                                        0,  //
                                        7, 5,    kInterruptIn,
                                        3, 16,   0,
                                        4};
  return kOctets;
}

std::string_view Model::string(uint8_t index) const {
  constexpr std::string_view kStrings[] = {"", "usernic", "lan78xx model", "1"};
  return index < std::size(kStrings) ? kStrings[index] : "";
}

void Model::power_on() {
  SpinGuard guard(lock_);
  ram_.fill(kUnwritten);
  otp_ = {};
  counted_ = {};
  phy_.reset();
  phy_.set_cable(connected_);
  lite_reset();
}

void Model::connect_cable(usb::Cable* cable) {
  SpinGuard guard(lock_);
  cable_ = cable;
}

// --- Registers ---

void Model::lite_reset() {
  registers_ = {};
  for (const auto& [address, value] : kDefaults) registers_[address / 4] = value;
  *at(kIdRev) = uint32_t{chip_} << 16 | 2;
  *at(kRxAddrL) = address_lo(permanent_);
  *at(kRxAddrH) = address_hi(permanent_);
}

// Null: there is no such register.
uint32_t* Model::at(uint16_t address) noexcept {
  if (address % 4 != 0) return nullptr;
  if (address < kRegistersEnd) return &registers_[address / 4];
  return address >= kOtpBegin && address < kOtpEnd ? &otp_[(address - kOtpBegin) / 4] : nullptr;
}

Result<uint32_t> Model::control(const usb::Setup& setup, std::span<uint8_t> data) {
  const bool in = setup.request_type == kRequestFrom;
  if (!in && setup.request_type != kRequestTo) return fail(std::errc::broken_pipe);
  bool tells = false;
  {
    SpinGuard guard(lock_);
    if (in && setup.request == kRequestCounters) {
      const size_t words = std::min(data.size() / 4, counted_.size());
      for (size_t n = 0; n < words; ++n) put_le32(data, 4 * n, counted_[n]);
      return static_cast<uint32_t>(4 * words);
    }
    uint32_t* const word = at(setup.index);
    const bool known = setup.request == (in ? kRequestRead : kRequestWrite);
    if (!known || word == nullptr || data.size() != 4) return fail(std::errc::broken_pipe);
    if (in) {
      put_le32(data, 0, *word);
      return 4;
    }
    write(setup.index, le32(data, 0));
    tells = interrupted();
  }
  if (tells) interrupt();
  return 4;
}

// What a write leaves in the register, and sets off.
void Model::write(uint16_t address, uint32_t value) {
  uint32_t& word = *at(address);
  switch (address) {
    case kIdRev:
    case kE2pData:
      return;  // there is no EEPROM
    case kIntSts:
      word &= ~value;
      return;
    case kHwCfg:
      if ((value & (kHwLiteReset | kHwSoftReset)) != 0) return lite_reset();
      break;
    case kPmtCtl:
      if ((value & kPmtPhyReset) != 0) phy_.reset();
      value = (value & ~kPmtPhyReset) | kPmtReady;
      break;
    case kDpSel:
      value |= kDpReady;
      break;
    case kDpCmd:
      access_ram((value & kDpWrite) != 0);
      break;
    case kE2pCmd:
      value &= ~kE2pBusy;
      break;
    case kRfeCtl:
      value &= ~kRfeReset;
      break;
    case kFctRxCtl:
    case kFctTxCtl:
      value = enabled(value & ~kFctReset, kFctEnable, kFctDisabled);
      break;
    case kMacCr:
      value &= ~kMacReset;
      break;
    case kMacRx:
    case kMacTx:
      value = enabled(value, kMacEnable, kMacDisabled);
      break;
    case kMiiAcc:
      access_phy(value);
      value &= ~kMiiBusy;
      break;
  }
  word = value;
}

void Model::access_ram(bool writes) {
  const uint32_t n = value(kDpAddr);
  if ((value(kDpSel) & kDpRamMask) != kDpRamVlanAndHash || n >= kTableWords) return;
  writes ? void(ram_[n] = value(kDpData)) : void(*at(kDpData) = ram_[n]);
}

void Model::access_phy(uint32_t command) {
  if ((command & kMiiBusy) == 0) return;
  const uint32_t phy = command >> kMiiPhyShift & kMiiFieldMask;
  const auto which = static_cast<uint8_t>(command >> kMiiRegisterShift & kMiiFieldMask);
  if (phy != (chip_ == 0x7801 ? kPhyOutside : kPhyInside)) {
    if ((command & kMiiWrite) == 0) *at(kMiiData) = 0xffff;  // nobody answers
  } else if ((command & kMiiWrite) != 0) {
    phy_.write(which, static_cast<uint16_t>(value(kMiiData)));
  } else {
    *at(kMiiData) = phy_.read(which);
  }
}

// Is there something new for the interrupt endpoint?
bool Model::interrupted() {
  if (phy_.interrupts()) *at(kIntSts) |= kIntPhy;
  const bool before = std::exchange(told_, (value(kIntSts) & value(kIntEpCtl)) != 0);
  return told_ && !before;
}

void Model::interrupt() {
  uint8_t message[kInterruptBytes];
  {
    SpinGuard guard(lock_);
    put_le32(message, 0, value(kIntSts));
  }
  if (to_host_ != nullptr) to_host_->deliver(kInterruptIn, message);
}

void Model::set_link(bool up) {
  bool tells = false;
  {
    SpinGuard guard(lock_);
    connected_ = up;
    phy_.set_cable(up);
    tells = interrupted();
  }
  if (tells) interrupt();
}

// --- Filter ---

bool Model::hears() const noexcept {
  return phy_.link() && (value(kMacRx) & kMacEnable) != 0 && (value(kFctRxCtl) & kFctEnable) != 0;
}

bool Model::accepts_locked(const MacAddress& destination) const noexcept {
  const uint32_t control = value(kRfeCtl);
  if (destination.is_broadcast()) return (control & kRfeBroadcast) != 0;
  if ((control & (destination.is_multicast() ? kRfeAllMulticast : kRfeAllUnicast)) != 0) return true;
  if (destination.is_multicast() && (control & kRfeMulticastHash) != 0) {
    const uint32_t bucket = bucket_of(destination);
    if ((ram_[kVlanWords + bucket / 32] >> bucket % 32 & 1) != 0) return true;
  }
  if ((control & kRfePerfect) == 0) return false;
  for (uint32_t n = 0; n < kMafs; ++n) {
    if (value(maf_hi(n)) == (kMafValid | address_hi(destination)) && value(maf_lo(n)) == address_lo(destination)) {
      return true;
    }
  }
  return false;
}

bool Model::accepts(const MacAddress& destination) const noexcept {
  SpinGuard guard(lock_);
  return accepts_locked(destination);
}

bool Model::is_tagged(std::span<const uint8_t> frame) const noexcept {
  return frame.size() >= kHeaderBytes + kVlanTagBytes && (frame[12] << 8 | frame[13]) == int(value(kVlanType) & 0xffff);
}

bool Model::passes_vlan(std::span<const uint8_t> frame) const noexcept {
  const uint32_t control = value(kRfeCtl);
  if (!is_tagged(frame)) return (control & kRfeOnlyTagged) == 0;
  const uint32_t id = (frame[14] << 8 | frame[15]) & 0xfff;
  return (control & kRfeVlanFilter) == 0 || (ram_[id / 32] >> id % 32 & 1) != 0;
}

usb::NicFilter Model::filter() const {
  SpinGuard guard(lock_);
  const uint32_t control = value(kRfeCtl);
  const bool perfect = (control & kRfePerfect) != 0;
  usb::NicFilter filter{.receiving = (value(kMacRx) & kMacEnable) != 0 && (value(kFctRxCtl) & kFctEnable) != 0,
                        .own = address_of(value(maf_hi(0)), value(maf_lo(0))),
                        .directed = perfect && (value(maf_hi(0)) & kMafValid) != 0,
                        .broadcast = (control & kRfeBroadcast) != 0,
                        .allmulti = (control & kRfeAllMulticast) != 0,
                        .promisc = (control & kRfeAllUnicast) != 0,
                        .hash = std::vector<uint8_t>(kBuckets / 8),
                        .vlan_filter = (control & kRfeVlanFilter) != 0,
                        .accept = control};
  for (uint32_t n = 1; n < kMafs && perfect; ++n) {
    if ((value(maf_hi(n)) & kMafValid) == 0) continue;
    const MacAddress address = address_of(value(maf_hi(n)), value(maf_lo(n)));
    (address.is_multicast() ? filter.multicast : filter.unicast).push_back(address);
  }
  for (uint32_t n = 0; n < kHashWords && (control & kRfeMulticastHash) != 0; ++n) {
    put_le32(filter.hash, 4 * n, ram_[kVlanWords + n]);
  }
  for (uint16_t id = 0; id < 32 * kVlanWords && filter.vlan_filter; ++id) {
    if ((ram_[id / 32] >> id % 32 & 1) != 0) filter.vlans.push_back(id);
  }
  return filter;
}

}  // namespace usernic::lan78xx
