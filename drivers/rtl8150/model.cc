// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/rtl8150/model.h"

#include <algorithm>

namespace usernic::rtl8150 {

std::span<const uint8_t> Model::device_descriptor() const {
  // USB 1.1, class 0, 8 octets on endpoint 0 at full speed, 64 here; strings 1 to 3, one configuration.
  static constexpr uint8_t kOctets[] = {18, 1, 0x10, 0x01, 0, 0, 0, 64, 0xda, 0x0b, 0x50, 0x81, 0x00, 0x01, 1, 2, 3, 1};
  return kOctets;
}

std::span<const uint8_t> Model::configuration_descriptor() const {
  static constexpr uint8_t kOctets[] = {9, 2,    39,
                                        0, 1,    kConfiguration,
                                        0, 0xa0, 60,  //
                                        9, 4,    0,
                                        0, 3,    0,
                                        0, 0,    0,  //
                                        7, 5,    kBulkIn,
                                        2, 64,   0,
                                        0,  //
                                        7, 5,    kBulkOut,
                                        2, 64,   0,
                                        0,  //
                                        7, 5,    kInterruptIn,
                                        3, 8,    0,
                                        10};
  return kOctets;
}

std::string_view Model::string(uint8_t index) const {
  constexpr std::string_view kStrings[] = {"", "usernic", "rtl8150 model", "1"};
  return index < std::size(kStrings) ? kStrings[index] : "";
}

void Model::power_on() {
  SpinGuard guard(lock_);
  registers_.fill(0);
  eeprom_.fill(0);
  std::ranges::copy(permanent_.octets, eeprom_.begin() + (kEepromIdr - kEeprom));
  std::ranges::copy(permanent_.octets, at(kIdr, permanent_.octets.size()));
  show_link();
}

void Model::connect_cable(usb::Cable* cable) {
  SpinGuard guard(lock_);
  cable_ = cable;
}

// --- Registers ---

// Where a register's octets are; null when there are not as many.
uint8_t* Model::at(uint16_t address, size_t size) {
  const auto is_in = [&](uint32_t begin, uint32_t end) {
    return address >= begin && address < end && size <= end - address;
  };
  if (is_in(kRegistersBegin, kRegistersEnd)) return &registers_[address - kRegistersBegin];
  if (is_in(kEeprom, kEeprom + kEepromBytes)) return &eeprom_[address - kEeprom];
  return nullptr;
}

Result<uint32_t> Model::control(const usb::Setup& setup, std::span<uint8_t> data) {
  if (setup.request != kRequestRegisters || (setup.request_type & ~usb::kIn) != kRequestWrite) {
    return fail(std::errc::broken_pipe);
  }
  bool enabled = false;
  {
    SpinGuard guard(lock_);
    uint8_t* const octets = at(setup.value, data.size());
    if (octets == nullptr) return fail(std::errc::broken_pipe);
    if ((setup.request_type & usb::kIn) != 0) {
      std::copy_n(octets, data.size(), data.begin());
      return static_cast<uint32_t>(data.size());
    }
    const uint8_t before = *at(kCr, 1);
    if (setup.value < kEeprom) {  // the EEPROM is written by nobody
      std::ranges::copy(data, octets);
      written(setup.value, data.size());
    }
    enabled = (before & kCrReceive) == 0 && (*at(kCr, 1) & kCrReceive) != 0;
  }
  if (enabled) interrupt();
  return static_cast<uint32_t>(data.size());
}

// What a write sets off.
void Model::written(uint16_t address, size_t size) {
  const auto touches = [&](uint16_t what) { return address <= what && what < address + size; };
  if (touches(kCr) && (*at(kCr, 1) & kCrReset) != 0) {
    // Everything but the own address, which [L] sets before it resets the chip.
    const MacAddress own = MacAddress::from_bytes(at(kIdr, 6));
    registers_.fill(0);
    std::ranges::copy(own.octets, at(kIdr, 6));
  }
  if (touches(kPhyControl)) *at(kPhyControl, 1) &= static_cast<uint8_t>(~kPhyGo);
  show_link();  // read-only ones are as they were
}

void Model::show_link() {
  *at(kMsr, 1) = link_ ? kMsrLink | kMsrSpeed100 | kMsrDuplex : 0;
  *at(kCscr, 2) = link_ ? kCscrLink : 0;
  *at(kBmsr, 2) = link_ ? kBmsrLink : 0;
}

void Model::set_link(bool up) {
  {
    SpinGuard guard(lock_);
    link_ = up;
    show_link();
  }
  interrupt();
}

void Model::interrupt() {
  uint8_t message[kInterruptBytes] = {};
  {
    SpinGuard guard(lock_);
    message[kInterruptMsr] = *at(kMsr, 1);
  }
  if (to_host_ != nullptr) to_host_->deliver(kInterruptIn, message);
}

// --- Filter and frames ---

uint16_t Model::rcr() const noexcept {
  return le16(registers_, kRcr - kRegistersBegin);
}

bool Model::accepts_locked(const MacAddress& destination) const noexcept {
  const uint16_t accept = rcr();
  if (destination.is_broadcast()) return (accept & kRcrBroadcast) != 0;
  if (destination.is_multicast()) {
    const uint32_t bucket = bucket_of(destination);
    const bool hashed = (registers_[kMar - kRegistersBegin + bucket / 8] >> bucket % 8 & 1) != 0;
    return (accept & kRcrAllmulti) != 0 || ((accept & kRcrHash) != 0 && hashed);
  }
  if ((accept & kRcrAllPhysical) != 0) return true;
  return (accept & kRcrOwn) != 0 && std::ranges::equal(destination.octets, std::span(&registers_[0], 6));
}

bool Model::accepts(const MacAddress& destination) const noexcept {
  SpinGuard guard(lock_);
  return accepts_locked(destination);
}

bool Model::receive(std::span<const uint8_t> frame) noexcept {
  if (frame.size() < kHeaderBytes || frame.size() > kFrameMax) return false;
  uint8_t message[kFrameMax + kTrailerBytes] = {};
  const auto size = std::max<uint32_t>(kFrameMin, static_cast<uint32_t>(frame.size()));
  const MacAddress destination = MacAddress::from_bytes(frame.data());
  const auto count = [](Atomic<uint64_t>& counter) { counter.fetch_add(1); };
  {
    SpinGuard guard(lock_);
    if (!link_ || (registers_[kCr - kRegistersBegin] & kCrReceive) == 0) return count(counters_.deaf), false;
    if (!accepts_locked(destination)) return count(counters_.filtered), false;
  }
  std::ranges::copy(frame, message);
  const uint16_t what = destination.is_multicast() ? kTrailerMulticast : kTrailerOwn;
  put_le16(message, size, (size & kTrailerLength) | kTrailerValid | what);
  if (to_host_ == nullptr || !to_host_->deliver(kBulkIn, std::span(message, size + kTrailerBytes))) {
    return count(counters_.overrun), false;
  }
  return count(counters_.received), true;
}

Result<> Model::out(uint8_t endpoint, std::span<const uint8_t> frame) {
  if (endpoint != kBulkOut) return fail(std::errc::broken_pipe);
  usb::Cable* cable = nullptr;
  {
    SpinGuard guard(lock_);
    if (link_ && (*at(kCr, 1) & kCrTransmit) != 0) cable = cable_;
  }
  if (frame.size() < kFrameMin) {
    counters_.runts.fetch_add(1);
  } else if (frame.size() > kFrameMax) {
    counters_.giants.fetch_add(1);
  } else if (cable == nullptr) {
    counters_.not_sent.fetch_add(1);
  } else {
    counters_.sent.fetch_add(1);
    cable->hear(frame);
  }
  return {};
}

usb::NicFilter Model::filter() const {
  SpinGuard guard(lock_);
  const uint16_t accept = rcr();
  const auto mar = std::span(registers_).subspan(kMar - kRegistersBegin, kBuckets / 8);
  return {.receiving = (registers_[kCr - kRegistersBegin] & kCrReceive) != 0,
          .own = MacAddress::from_bytes(&registers_[0]),
          .directed = (accept & kRcrOwn) != 0,
          .broadcast = (accept & kRcrBroadcast) != 0,
          .allmulti = (accept & kRcrAllmulti) != 0,
          .promisc = (accept & kRcrAllPhysical) != 0,
          .hash = {mar.begin(), mar.end()},
          .accept = accept};
}

}  // namespace usernic::rtl8150
