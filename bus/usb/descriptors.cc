// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/descriptors.h"

#include <algorithm>
#include <utility>

#include "bus/usb/octets.h"
#include "bus/usb/standard.h"

namespace usernic::usb {
namespace {

constexpr size_t kDeviceBytes = 18, kConfigurationBytes = 9, kInterfaceBytes = 9, kEndpointBytes = 7;
constexpr uint16_t kPacketMask = 0x07ff;
constexpr size_t kTotalMax = 4096;  // of a configuration: real ones are below 1 KiB
constexpr uint8_t kConfigurationsMax = 8;

Interface interface_of(std::span<const uint8_t> one) {
  return {.number = one[2], .alternate = one[3], .interface_class = one[5], .subclass = one[6], .protocol = one[7]};
}

Endpoint endpoint_of(std::span<const uint8_t> one) {
  return {.address = one[2],
          .type = static_cast<EndpointType>(one[3] & 3),
          .packet_max = static_cast<uint16_t>(le16(one, 4) & kPacketMask),
          .interval = one[6]};
}

Setup get_descriptor(uint8_t type, uint8_t index) {
  return {.request_type = kIn, .request = kGetDescriptor, .value = static_cast<uint16_t>(type << 8 | index)};
}

Result<Configuration> read_configuration(const Descriptors::Control& control, uint8_t index) {
  std::vector<uint8_t> octets(kConfigurationBytes);
  const Result<uint32_t> head = control(get_descriptor(kConfigurationDescriptor, index), octets);
  if (!head) return fail(head.error());
  if (*head < kConfigurationBytes) return fail(std::errc::bad_message);
  octets.resize(std::clamp<size_t>(le16(octets, 2), kConfigurationBytes, kTotalMax));
  const Result<uint32_t> whole = control(get_descriptor(kConfigurationDescriptor, index), octets);
  if (!whole) return fail(whole.error());
  return Configuration::parse(std::span(octets).first(std::min<size_t>(*whole, octets.size())));
}

template <class Is>
std::optional<Endpoint> first(const std::vector<Configuration>& configurations, Is is) {
  for (const Configuration& configuration : configurations) {
    for (const Interface& interface : configuration.interfaces) {
      const auto found = std::ranges::find_if(interface.endpoints, is);
      if (found != interface.endpoints.end()) return *found;
    }
  }
  return std::nullopt;
}

}  // namespace

// [USB 2.0, table 9-13, bInterval]
uint32_t Endpoint::period(Speed speed) const noexcept {
  const bool exponent = speed == Speed::kHigh || speed == Speed::kSuper;
  return exponent ? 1u << (std::clamp<uint32_t>(interval, 1, 16) - 1) : std::max<uint32_t>(interval, 1);
}

Result<Configuration> Configuration::parse(std::span<const uint8_t> octets) {
  if (octets.size() < kConfigurationBytes || octets[0] < kConfigurationBytes || octets[1] != kConfigurationDescriptor) {
    return fail(std::errc::bad_message);
  }
  Configuration configuration{.value = octets[5]};
  octets = octets.first(std::min<size_t>(octets.size(), le16(octets, 2)));
  while (!octets.empty()) {
    const size_t length = octets[0];
    if (length < 2 || length > octets.size()) return fail(std::errc::bad_message);
    const std::span<const uint8_t> one = octets.first(length);
    octets = octets.subspan(length);
    std::vector<Interface>& interfaces = configuration.interfaces;
    if (one[1] == kInterfaceDescriptor && length >= kInterfaceBytes) {
      interfaces.push_back(interface_of(one));
    } else if (interfaces.empty()) {
      continue;  // the configuration's own, and what belongs to no interface
    } else if (one[1] == kEndpointDescriptor && length >= kEndpointBytes) {
      interfaces.back().endpoints.push_back(endpoint_of(one));
    } else {
      interfaces.back().class_specific.insert(interfaces.back().class_specific.end(), one.begin(), one.end());
    }
  }
  return configuration;
}

Result<Descriptors> Descriptors::read(const Control& control) {
  std::vector<uint8_t> octets(kDeviceBytes);
  const Result<uint32_t> got = control(get_descriptor(kDeviceDescriptor, 0), octets);
  if (!got) return fail(got.error());
  if (*got < kDeviceBytes || octets[1] != kDeviceDescriptor) return fail(std::errc::bad_message);
  Descriptors device{.vendor = le16(octets, 8),
                     .product = le16(octets, 10),
                     .release = le16(octets, 12),
                     .device_class = octets[4],
                     .subclass = octets[5],
                     .protocol = octets[6],
                     .packet_max = octets[7],
                     .serial_string = octets[16]};
  const uint8_t count = std::min(octets[17], kConfigurationsMax);
  for (uint8_t index = 0; index < count; ++index) {
    Result<Configuration> configuration = read_configuration(control, index);
    if (!configuration) return fail(configuration.error());
    device.configurations.push_back(*std::move(configuration));
  }
  return device;
}

std::optional<Endpoint> Descriptors::find(EndpointType type, bool in) const {
  return first(configurations, [&](const Endpoint& endpoint) {
    return endpoint.type == type && ((endpoint.address & kIn) != 0) == in;
  });
}

std::optional<Endpoint> Descriptors::at(uint8_t address) const {
  return first(configurations, [&](const Endpoint& endpoint) { return endpoint.address == address; });
}

}  // namespace usernic::usb
