// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/function.h"

#include "bus/usb/standard.h"

namespace usernic::cdc {
namespace {

constexpr usb::ClassCode kRndisCodes[] = {{0xe0, 0x01, 0x03}, {0x02, 0x02, 0xff}, {0xef, 0x04, 0x01}};

// The functional descriptor of that kind; empty: there is none, or it is too short.
std::span<const uint8_t> functional(std::span<const uint8_t> all, uint8_t subtype, size_t bytes) {
  while (all.size() >= 3) {
    const size_t length = std::min<size_t>(std::max<size_t>(all[0], 3), all.size());
    const std::span<const uint8_t> one = all.first(length);
    if (one[1] == kClassSpecificInterface && one[2] == subtype && length >= bytes) return one;
    all = all.subspan(length);
  }
  return {};
}

// With address 0: there is none.
usb::Endpoint endpoint_of(const usb::Interface& interface, usb::EndpointType type, bool in) {
  const auto found = std::ranges::find_if(interface.endpoints, [&](const usb::Endpoint& endpoint) {
    const uint8_t number = endpoint.address & ~usb::kIn;
    return endpoint.type == type && ((endpoint.address & usb::kIn) != 0) == in && number >= 1 && number <= 15;
  });
  return found == interface.endpoints.end() ? usb::Endpoint() : *found;
}

// The data interface's setting that has both bulk endpoints.
bool find_data(const usb::Configuration& configuration, Function& function) {
  for (const usb::Interface& interface : configuration.interfaces) {
    if (interface.number != function.data) continue;
    function.bulk_in = endpoint_of(interface, usb::EndpointType::kBulk, true).address;
    function.bulk_out = endpoint_of(interface, usb::EndpointType::kBulk, false).address;
    function.alternate = interface.alternate;
    if (function.bulk_in != 0 && function.bulk_out != 0) return true;
  }
  return false;
}

std::optional<Function> function_at(const usb::Configuration& configuration, const usb::Interface& control) {
  const std::optional<Framing> framing = framing_of(usb::class_of(control));
  if (!framing) return std::nullopt;
  Function function{.framing = *framing, .configuration = configuration.value, .control = control.number};
  const std::span<const uint8_t> all = control.class_specific;
  const auto joined = functional(all, kUnion, kUnionBytes);
  function.data = joined.empty() ? static_cast<uint8_t>(control.number + 1) : joined[kUnionData];
  const usb::Endpoint interrupt = endpoint_of(control, usb::EndpointType::kInterrupt, true);
  if (interrupt.packet_max > 0) function.interrupt_in = interrupt.address;
  function.interrupt_packet = interrupt.packet_max;
  if (!find_data(configuration, function)) return std::nullopt;
  if (function.framing == Framing::kRndis) return function;
  const auto ethernet = functional(all, kEthernet, kEthernetBytes);
  if (ethernet.empty()) return std::nullopt;
  function.mac_string = ethernet[kEthernetMac];
  function.frame_max = le16(ethernet, kEthernetSegment);
  function.multicasts = le16(ethernet, kEthernetMulticasts) & kMulticastsMask;
  function.capabilities = kCanFilter;
  if (function.framing == Framing::kNcm) {
    const auto ncm = functional(all, kNcm, kNcmBytes);
    function.capabilities = ncm.empty() ? uint8_t{0} : ncm[kNcmCapabilities];
  }
  return function;
}

}  // namespace

std::optional<Framing> framing_of(const usb::ClassCode& interface) noexcept {
  if (std::ranges::find(kRndisCodes, interface) != std::end(kRndisCodes)) return Framing::kRndis;
  if (interface.interface_class != kClassControl) return std::nullopt;
  if (interface.subclass == kSubclassEcm) return Framing::kEcm;
  if (interface.subclass == kSubclassNcm) return Framing::kNcm;
  return std::nullopt;
}

std::optional<Function> find_function(const usb::Descriptors& device) {
  for (const Framing framing : {Framing::kNcm, Framing::kEcm, Framing::kRndis}) {
    for (const usb::Configuration& configuration : device.configurations) {
      for (const usb::Interface& interface : configuration.interfaces) {
        if (framing_of(usb::class_of(interface)) != framing) continue;
        if (const auto function = function_at(configuration, interface)) return function;
      }
    }
  }
  return std::nullopt;
}

std::optional<MacAddress> parse_mac_string(std::span<const uint8_t> descriptor) {
  constexpr size_t kDigits = 12;
  if (descriptor.size() < 2 + 2 * kDigits || descriptor[0] < 2 + 2 * kDigits ||
      descriptor[1] != usb::kStringDescriptor) {
    return std::nullopt;
  }
  uint64_t address = 0;
  for (size_t n = 0; n < kDigits; ++n) {
    const uint16_t letter = le16(descriptor, 2 + 2 * n);
    const uint16_t lower = letter | 0x20;
    if (letter >= '0' && letter <= '9') {
      address = address << 4 | (letter - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      address = address << 4 | (lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return MacAddress::from_u64(address);
}

News parse_notifications(Framing framing, std::span<const uint8_t> octets) noexcept {
  News news;
  if (framing == Framing::kRndis) {
    news.message = octets.size() >= kNotificationBytes && le32(octets, 0) == 1;
    return news;
  }
  while (octets.size() >= kNotificationBytes) {
    const std::span<const uint8_t> data = octets.subspan(kNotificationBytes);
    const size_t length = std::min<size_t>(le16(octets, 6), data.size());
    if (octets[0] == kFromInterface && octets[1] == kNetworkConnection) news.connected = le16(octets, 2) != 0;
    if (octets[0] == kFromInterface && octets[1] == kConnectionSpeedChange && length >= 8) {
      news.bits_per_second = le32(data, 0);
    }
    octets = data.subspan(length);
  }
  return news;
}

}  // namespace usernic::cdc
