// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: a network function in software, of each of the three kinds: descriptors, requests, a filter that filters, a
// link, and a cable.
//
// It does what it was told and no more: until a filter is set it receives nothing, a transfer that breaks its rules is
// no frame. It shares the numbers of regs.h with the driver and not a line of the framings. README.md says what it was
// held against.
//
// Locks: one, a leaf; it is not held while the cable or the bus is called. Frames may come from any thread.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "bus/usb/nic_model.h"
#include "drivers/cdc/function.h"
#include "usernic/lock.h"

namespace usernic::cdc {

// What a maker decides.
struct Make {
  Framing framing = Framing::kEcm;
  uint16_t multicasts = 8;  // entries of its list; 0: it takes none
  uint16_t segment = kSegmentUsual;
  bool notifies = true;  // it has an interrupt endpoint
  // NCM
  uint8_t capabilities = kCanFilter | kCanSetAddress | kCanSetCrcMode | kCanSetDatagramSize;
  bool wide = true;  // NTB-32, too
  uint16_t divisor = 4, remainder = 2, alignment = 8, datagrams = 0;
  // RNDIS
  uint32_t packets = 8, alignment_bits = 3;
  bool stalls_when_silent = false;  // asked for a message when it has none [Linux, f_rndis.c]
};

struct ModelCounters {
  Atomic<uint64_t> received{0};  // passed the filter, and given to the bus
  Atomic<uint64_t> filtered{0};
  Atomic<uint64_t> deaf{0};     // filter never set, or link off
  Atomic<uint64_t> overrun{0};  // nobody fetched them
  Atomic<uint64_t> sent{0};
  Atomic<uint64_t> transfers{0};  // that they came in
  Atomic<uint64_t> not_sent{0};   // link off
  Atomic<uint64_t> bad{0};        // transfers of the host that break a rule
};

class Model final : public usb::NicModel {
 public:
  Model(const Make& make, const MacAddress& permanent);

  // Frames from the cable that share a transfer, as far as they pass. Context: process or BH.
  bool receive_together(std::span<const std::span<const uint8_t>> frames) noexcept USERNIC_NONBLOCKING;
  // CRC behind each datagram, as before a SET_CRC_MODE.
  void set_crc(bool on);
  bool accepts(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING;
  const ModelCounters& counters() const noexcept { return counters_; }

  // usb::NicModel; `accept` is the packet filter, in the bits of ECM.
  void connect_cable(usb::Cable* cable) override;
  bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  void set_link(bool up) override;
  usb::NicFilter filter() const override;

  // usb::Model
  std::span<const uint8_t> device_descriptor() const override;
  std::span<const uint8_t> configuration_descriptor() const override { return configuration_; }
  std::string_view string(uint8_t index) const override;
  void connect(usb::ToHost& to_host) override { to_host_ = &to_host; }
  void power_on() override;
  void set_configuration(uint8_t value) override;
  void set_interface(uint8_t interface, uint8_t alternate) override;
  Result<uint32_t> control(const usb::Setup& setup, std::span<uint8_t> data) override;
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override;

 private:
  static constexpr uint32_t kBlockMax = 16 * 1024;
  class Block;

  void describe();
  void say_link();
  Result<uint32_t> get(uint8_t request, std::span<uint8_t> data) USERNIC_REQUIRES(lock_);
  bool set(const usb::Setup& setup, std::span<const uint8_t> data) USERNIC_REQUIRES(lock_);
  bool set_list(std::span<const uint8_t> addresses) USERNIC_REQUIRES(lock_);
  bool understand(std::span<const uint8_t> message) USERNIC_REQUIRES(lock_);
  std::vector<uint8_t> answer_query(uint32_t oid) const USERNIC_REQUIRES(lock_);
  uint32_t answer_set(uint32_t oid, std::span<const uint8_t> value) USERNIC_REQUIRES(lock_);
  bool accepts_locked(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool take_frames(std::span<const uint8_t> octets, std::vector<std::span<const uint8_t>>& frames) const;
  bool take_datagrams(std::span<const uint8_t> block, std::vector<std::span<const uint8_t>>& frames) const;
  bool take_packets(std::span<const uint8_t> octets, std::vector<std::span<const uint8_t>>& frames) const;

  static constexpr uint8_t kBulkIn = 0x81, kBulkOut = 0x02, kInterruptIn = 0x83;  // its endpoints
  static constexpr LockClass kClass{"cdc_model", LockUse::kAnyContext};
  const Make make_;
  const MacAddress permanent_;
  std::string mac_text_;
  std::vector<uint8_t> configuration_;
  usb::ToHost* to_host_ = nullptr;
  ModelCounters counters_;
  mutable SpinLock lock_{kClass};
  usb::Cable* cable_ USERNIC_GUARDED_BY(lock_) = nullptr;
  bool link_ USERNIC_GUARDED_BY(lock_) = true;
  MacAddress own_ USERNIC_GUARDED_BY(lock_);
  uint16_t pass_ USERNIC_GUARDED_BY(lock_) = 0;
  std::vector<MacAddress> list_ USERNIC_GUARDED_BY(lock_);
  bool wide_ USERNIC_GUARDED_BY(lock_) = false, crc_ USERNIC_GUARDED_BY(lock_) = false;
  bool data_on_ USERNIC_GUARDED_BY(lock_) = false;                      // the data interface has its endpoints
  std::deque<std::vector<uint8_t>> answers_ USERNIC_GUARDED_BY(lock_);  // RNDIS messages that wait
};

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/cdc_table_test.cc
