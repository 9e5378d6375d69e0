// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: the programming interface of USB network functions. Driver and model share this page only.
//
// Sources: [CDC] USB Class Definitions for Communications Devices 1.2, [ECM] its Ethernet subclass 1.2, [NCM] Network
// Control Model 1.0 with errata 1, [RNDIS] Microsoft's Remote NDIS specification (MS-RNDIS). Everything is
// little-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "usernic/mac_address.h"

namespace usernic::cdc {

// Beyond the end there are zeros, and nothing is written.
constexpr uint32_t le(std::span<const uint8_t> octets, size_t at, size_t width) noexcept {
  uint32_t value = 0;
  for (size_t n = 0; n < width && at < octets.size() && n < octets.size() - at; ++n) {
    value |= uint32_t{octets[at + n]} << 8 * n;
  }
  return value;
}
constexpr uint16_t le16(std::span<const uint8_t> octets, size_t at) noexcept {
  return static_cast<uint16_t>(le(octets, at, 2));
}
constexpr uint32_t le32(std::span<const uint8_t> octets, size_t at) noexcept {
  return le(octets, at, 4);
}
constexpr void put_le(std::span<uint8_t> octets, size_t at, uint32_t value, size_t width) noexcept {
  for (size_t n = 0; n < width && at < octets.size() && n < octets.size() - at; ++n) {
    octets[at + n] = static_cast<uint8_t>(value >> 8 * n);
  }
}
constexpr void put_le16(std::span<uint8_t> octets, size_t at, uint32_t value) noexcept {
  put_le(octets, at, value, 2);
}
constexpr void put_le32(std::span<uint8_t> octets, size_t at, uint32_t value) noexcept {
  put_le(octets, at, value, 4);
}

// --- Frames ---
inline constexpr uint32_t kHeaderBytes = 14, kVlanTagBytes = 4, kCrcBytes = 4;
inline constexpr uint32_t kFrameMin = 60;  // without FCS
inline constexpr uint32_t kMtuMax = 9000;
inline constexpr uint32_t kSegmentUsual = 1514;  // of a device that says nothing of it

// --- Interfaces: class, subclass, protocol [CDC 4.2 to 4.7; NCM 4.2; RNDIS as Windows and Linux match it] ---
inline constexpr uint8_t kClassControl = 0x02, kClassData = 0x0a;
inline constexpr uint8_t kSubclassEcm = 0x06, kSubclassNcm = 0x0d;
// Functional descriptors [CDC 5.2.3; ECM 5.4; NCM 5.2.1].
inline constexpr uint8_t kClassSpecificInterface = 0x24;
inline constexpr uint8_t kUnion = 0x06, kEthernet = 0x0f, kNcm = 0x1a;
inline constexpr size_t kUnionBytes = 5, kEthernetBytes = 13, kNcmBytes = 6;
inline constexpr size_t kUnionControl = 3, kUnionData = 4;
inline constexpr size_t kEthernetMac = 3, kEthernetSegment = 8, kEthernetMulticasts = 10, kNcmCapabilities = 5;
inline constexpr uint16_t kMulticastsMask = 0x7fff;  // above it: imperfect, by a hash

// --- Requests [CDC 6.2; ECM 6.2; NCM 6.2] ---
inline constexpr uint8_t kToInterface = 0x21, kFromInterface = 0xa1;
enum Request : uint8_t {
  kSendEncapsulatedCommand = 0x00,
  kGetEncapsulatedResponse = 0x01,
  kSetMulticastFilters = 0x40,  // value: how many; data: their addresses
  kSetPacketFilter = 0x43,      // value: kPass...
  kGetNtbParameters = 0x80,
  kSetNetAddress = 0x82,
  kSetNtbFormat = 0x84,  // value: 0 is NTB-16, 1 is NTB-32
  kSetNtbInputSize = 0x86,
  kSetMaxDatagramSize = 0x88,
  kSetCrcMode = 0x8a,  // value: 0 is without
};
inline constexpr uint16_t kPassPromisc = 0x01, kPassAllmulti = 0x02, kPassDirected = 0x04, kPassBroadcast = 0x08,
                          kPassMulticast = 0x10;
// Capabilities of an NCM function [NCM 5.2.1].
inline constexpr uint8_t kCanFilter = 0x01, kCanSetAddress = 0x02, kCanSetDatagramSize = 0x08, kCanSetCrcMode = 0x10;

// --- Notifications [CDC 6.3; ECM 6.3] ---
inline constexpr size_t kNotificationBytes = 8;
inline constexpr uint8_t kNetworkConnection = 0x00, kConnectionSpeedChange = 0x2a;
// RNDIS: the eight octets 1, 0, ..., 0: a message waits to be fetched.

// --- NCM transfer blocks [NCM 3.2, 3.3, 6.2.1] ---
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

// --- RNDIS messages [RNDIS 2.2] ---
enum RndisType : uint32_t {
  kRndisPacket = 0x01,
  kRndisInitialize = 0x02,
  kRndisHalt = 0x03,
  kRndisQuery = 0x04,
  kRndisSet = 0x05,
  kRndisIndicate = 0x07,
  kRndisKeepalive = 0x08,
};
inline constexpr uint32_t kRndisDone = 0x8000'0000;  // in the type of an answer
// Where fields are. Offsets in a message count from octet 8.
inline constexpr size_t kRndisLength = 4, kRndisId = 8, kRndisStatus = 12, kRndisBase = 8;
inline constexpr size_t kRndisOid = 12, kRndisInfoLength = 16, kRndisInfoOffset = 20;  // of a query, its answer, a set
inline constexpr size_t kRndisQueryBytes = 28, kRndisQueryDoneBytes = 24, kRndisDoneBytes = 16;
inline constexpr size_t kRndisInitializeBytes = 24, kRndisInitializeDoneBytes = 52;
inline constexpr size_t kRndisMaxPackets = 32, kRndisMaxTransfer = 36,
                        kRndisAlignment = 40;  // of an initialize's answer
inline constexpr size_t kRndisIndicateStatus = 8, kRndisIndicateBytes = 20;
inline constexpr size_t kRndisDataOffset = 8, kRndisDataLength = 12, kRndisPacketBytes = 44;
inline constexpr uint32_t kRndisSuccess = 0, kRndisNotSupported = 0xc000'00bb, kRndisInvalid = 0xc001'0015;
inline constexpr uint32_t kRndisConnected = 0x4001'000b, kRndisDisconnected = 0x4001'000c;
enum Oid : uint32_t {
  kOidFrameMax = 0x0001'0106,   // without header
  kOidLinkSpeed = 0x0001'0107,  // in 100 bit/s
  kOidPacketFilter = 0x0001'010e,
  kOidDisconnected = 0x0001'0114,  // 0: connected
  kOidPermanentAddress = 0x0101'0101,
  kOidMulticasts = 0x0101'0103,
  kOidMulticastsMax = 0x0101'0104,
};
inline constexpr uint32_t kNdisDirected = 0x01, kNdisMulticast = 0x02, kNdisAllmulti = 0x04, kNdisBroadcast = 0x08,
                          kNdisPromisc = 0x20;

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/cdc_table_test.cc
