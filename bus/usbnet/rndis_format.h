// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: how RNDIS messages lie in octets. Whoever reads and writes them shares this page only with who pretends to be
// a device. [RNDIS: Microsoft's Remote NDIS specification, MS-RNDIS, 2.2]; little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace usernic::usb::rndis {

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

}  // namespace usernic::usb::rndis
// Explained best by: bus/usbnet/rndis_packets_test.cc
