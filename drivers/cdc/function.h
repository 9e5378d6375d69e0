// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: the network function of a device, as its descriptors, a string and its notifications say it. Pure functions:
// whatever octets a device sends, nothing is read beyond them.
#pragma once

#include <optional>
#include <span>

#include "bus/usb/identity.h"
#include "drivers/cdc/regs.h"

namespace usernic::cdc {

enum class Framing : uint8_t { kEcm, kNcm, kRndis };

struct Function {
  Framing framing{};
  uint8_t configuration = 0;
  uint8_t control = 0, data = 0;                        // interfaces
  uint8_t alternate = 0;                                // of the data interface: the one with endpoints
  uint8_t bulk_in = 0, bulk_out = 0, interrupt_in = 0;  // 0: none
  uint16_t interrupt_packet = 0;
  // As the functional descriptors say; an RNDIS function is asked.
  uint8_t mac_string = 0;
  uint32_t frame_max = kSegmentUsual;
  uint16_t multicasts = 0;
  uint8_t capabilities = 0;  // kCan...
};

std::optional<Framing> framing_of(const usb::ClassCode& interface) noexcept;
// NCM before ECM before RNDIS, where a device has several.
std::optional<Function> find_function(const usb::Descriptors& device);

// Of a string descriptor: twelve hexadecimal digits.
std::optional<MacAddress> parse_mac_string(std::span<const uint8_t> descriptor);

// What is new of the link.
struct News {
  std::optional<bool> connected{};
  std::optional<uint32_t> bits_per_second{};  // towards the host
  bool message = false;                       // waits to be fetched
};
// Of an interrupt transfer.
News parse_notifications(Framing framing, std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/function_test.cc
