// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: the numbers of standard requests and descriptors. [USB 2.0, tables 9-2 to 9-6]
#pragma once

#include <cstdint>

namespace usernic::usb {

// In Setup::request_type, beside kIn.
inline constexpr uint8_t kTypeMask = 0x60, kStandard = 0x00, kVendor = 0x40;
inline constexpr uint8_t kRecipientMask = 0x1f, kToInterface = 0x01, kToEndpoint = 0x02;

// Setup::request of a standard one.
inline constexpr uint8_t kGetStatus = 0, kClearFeature = 1, kSetFeature = 3, kGetDescriptor = 6, kGetConfiguration = 8,
                         kSetConfiguration = 9, kGetInterface = 10, kSetInterface = 11;
inline constexpr uint16_t kEndpointHalt = 0;  // a feature

// A descriptor's second octet, and the upper half of Setup::value that asks for it.
inline constexpr uint8_t kDeviceDescriptor = 1, kConfigurationDescriptor = 2, kStringDescriptor = 3,
                         kInterfaceDescriptor = 4, kEndpointDescriptor = 5;

}  // namespace usernic::usb
