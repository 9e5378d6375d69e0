// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: the programming interface of USB network functions. Driver and model share this page only, and the formats that
// it includes.
//
// Sources: [CDC] USB Class Definitions for Communications Devices 1.2, [ECM] its Ethernet subclass 1.2, [NCM] Network
// Control Model 1.0 with errata 1, [RNDIS] Microsoft's Remote NDIS specification (MS-RNDIS). Everything is
// little-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "bus/usb/octets.h"
#include "bus/usbnet/ntb_format.h"
#include "bus/usbnet/rndis_format.h"
#include "usernic/mac_address.h"

namespace usernic::cdc {

using namespace usb::ntb;
using namespace usb::rndis;
using usb::le, usb::le16, usb::le32, usb::put_le, usb::put_le16, usb::put_le32;

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

// --- RNDIS objects [RNDIS 2.2.4: NDIS' own] ---
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
