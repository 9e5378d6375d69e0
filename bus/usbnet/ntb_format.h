// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: how NCM transfer blocks lie in octets. Whoever reads and writes them shares this page only with who pretends
// to be a device. [NCM: USB Network Control Model 1.0 with errata 1, 3.2, 3.3, 6.2.1]; little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace usernic::usb::ntb {

inline constexpr uint32_t kNth16 = 0x484d434e, kNth32 = 0x686d636e;  // "NCMH", "ncmh"
inline constexpr uint32_t kNdp16 = 0x304d434e, kNdp16Crc = 0x314d434e, kNdp32 = 0x306d636e, kNdp32Crc = 0x316d636e;
inline constexpr uint32_t kNtbAlignment = 4;  // of a datagram pointer table, at least
inline constexpr uint32_t kNtbBytesMin = 2048;
inline constexpr size_t kNtbParameterBytes = 28;
enum NtbParameter : uint8_t {
  kNtbFormats = 2,  // bit 1: NTB-32, too
  kNtbInMax = 4,
  kNdpInDivisor = 8,
  kNdpInRemainder = 10,
  kNdpInAlignment = 12,
  kNtbOutMax = 16,
  kNdpOutDivisor = 20,
  kNdpOutRemainder = 22,  // of the payload behind the Ethernet header
  kNdpOutAlignment = 24,
  kNtbOutDatagrams = 26,  // 0: no limit
};
inline constexpr uint16_t kNtb32Supported = 0x02;

}  // namespace usernic::usb::ntb
// Explained best by: bus/usbnet/ntb_test.cc
