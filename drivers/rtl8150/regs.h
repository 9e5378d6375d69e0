// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: the chip's programming interface. Driver and model share this page only.
//
// Sources: how two public drivers use the chip, [L] Linux drivers/net/usb/rtl8150.c and [F] FreeBSD
// sys/dev/usb/net/if_rue.c with if_ruereg.h; not held against Realtek's data sheet. Registers are octets in one address
// space, little-endian, read and written by a vendor request of any length; the EEPROM's copy begins at 0x1200.
#pragma once

#include <cstdint>

#include "bus/usb/identity.h"
#include "bus/usb/octets.h"
#include "bus/usbnet/ether_crc.h"

namespace usernic::rtl8150 {

using usb::le16, usb::put_le16;

inline constexpr usb::ProductId kIds[] = {
    {0x0bda, 0x8150},  // Realtek RTL8150
    {0x0411, 0x0012},  // Melco LUA-KTX
    {0x3980, 0x0003},  // Micronet SP128AR
    {0x07b8, 0x401a},  // Longshine LCS-8138TX
    {0x1557, 0x8150},  // OQO
    {0x0586, 0x401a},  // ZyXEL Prestige
};

// USB: one configuration, one interface, three endpoints [L].
inline constexpr uint8_t kConfiguration = 1;
inline constexpr uint8_t kBulkIn = 0x81;
inline constexpr uint8_t kBulkOut = 0x02;
inline constexpr uint8_t kInterruptIn = 0x83;
inline constexpr uint8_t kRequestRead = 0xc0;   // vendor, device to host: request 5, value = register
inline constexpr uint8_t kRequestWrite = 0x40;  // vendor, host to device
inline constexpr uint8_t kRequestRegisters = 5;

enum Register : uint16_t {
  kIdr = 0x0120,  // own address, 6 octets
  kMar = 0x0126,  // multicast hash, 64 bits: bit n of octet n / 8
  kCr = 0x012e,   // command, 1
  kTcr = 0x012f,  // transmit configuration, 1
  kRcr = 0x0130,  // receive configuration, 2
  kMsr = 0x0137,  // media status, 1
  kPhyAddress = 0x0138,
  kPhyData = 0x0139,     // 2
  kPhyControl = 0x013b,  // 1
  kBmcr = 0x0140,        // 2, and the other MII registers behind it
  kBmsr = 0x0142,        // 2
  kCscr = 0x014c,        // 2; has the link status too [L]
  kEeprom = 0x1200,
  kEepromIdr = 0x1202,
};
inline constexpr uint16_t kRegistersBegin = 0x0120, kRegistersEnd = 0x018a;
inline constexpr uint16_t kEepromBytes = 128;

// kCr
inline constexpr uint8_t kCrReset = 0x10;  // clears itself
inline constexpr uint8_t kCrReceive = 0x08;
inline constexpr uint8_t kCrTransmit = 0x04;
// kTcr: what [L] and [F] write.
inline constexpr uint8_t kTcrNormal = 0xd8;
// kRcr [F]
inline constexpr uint16_t kRcrTail = 0x80;         // a trailer behind each frame, see kTrailerBytes
inline constexpr uint16_t kRcrHash = 0x10;         // AM: multicasts whose bucket of kMar is set
inline constexpr uint16_t kRcrBroadcast = 0x08;    // AB
inline constexpr uint16_t kRcrOwn = 0x04;          // AD
inline constexpr uint16_t kRcrAllmulti = 0x02;     // AAM
inline constexpr uint16_t kRcrAllPhysical = 0x01;  // AAP: every unicast
// kPhyControl
inline constexpr uint8_t kPhyGo = 0x40;  // clears itself
// kMsr, and octet kInterruptMsr of an interrupt
inline constexpr uint8_t kMsrLink = 0x04;
inline constexpr uint8_t kMsrSpeed100 = 0x08;
inline constexpr uint8_t kMsrDuplex = 0x10;
// kCscr
inline constexpr uint16_t kCscrLink = 0x0008;
// kBmsr [IEEE 802.3, 22.2.4.2]
inline constexpr uint16_t kBmsrLink = 0x0004;

// An interrupt: TSR, RSR, MSR, wake-up, frames sent, lost, CRC errors, collisions [F].
inline constexpr uint32_t kInterruptBytes = 8;
inline constexpr uint32_t kInterruptMsr = 2;

// A received frame ends in four octets that are not its own. The first two: its length, and what it is [F].
inline constexpr uint32_t kTrailerBytes = 4;
inline constexpr uint16_t kTrailerLength = 0x0fff;
inline constexpr uint16_t kTrailerValid = 0x1000;
inline constexpr uint16_t kTrailerOwn = 0x4000;
inline constexpr uint16_t kTrailerMulticast = 0x8000;

inline constexpr uint32_t kFrameMin = 60;  // the chip pads nothing
inline constexpr uint32_t kHeaderBytes = 14;
inline constexpr uint32_t kVlanTagBytes = 4;
inline constexpr uint32_t kMtuMax = 1500;
inline constexpr uint32_t kFrameMax = kMtuMax + kHeaderBytes + kVlanTagBytes;

// The bucket of a multicast address: the top six bits of its CRC [F].
inline constexpr uint32_t kBuckets = 64;
constexpr uint32_t bucket_of(const MacAddress& address) noexcept {
  return usb::ether_crc(address) >> 26;
}

}  // namespace usernic::rtl8150
// Explained best by: drivers/rtl8150/model_test.cc
