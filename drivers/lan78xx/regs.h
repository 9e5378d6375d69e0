// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the chip's programming interface. Driver and model share this page only.
//
// Sources: how two public drivers use the chip, [L] Linux drivers/net/usb/lan78xx.c with lan78xx.h and
// drivers/net/phy/microchip.c, and [F] FreeBSD sys/dev/usb/net/if_muge.c with if_mugereg.h, which cite Microchip's data
// sheet DS00001992 for the LAN7800; where nothing else is said, both agree. Registers are words of 32 bits,
// little-endian, read and written one at a time by a vendor request; behind some of them are a RAM and a PHY.
#pragma once

#include <cstdint>

#include "bus/usb/identity.h"
#include "bus/usb/octets.h"
#include "bus/usbnet/ether_crc.h"

namespace usernic::lan78xx {

using usb::le32, usb::put_le32;

inline constexpr usb::ProductId kIds[] = {
    {0x0424, 0x7800},  // LAN7800: USB 3.1, a gigabit PHY inside
    {0x0424, 0x7801},  // LAN7801: a PHY outside, by RGMII
    {0x0424, 0x7850},  // LAN7850: USB 2.0 and HSIC, a gigabit PHY inside
};

// USB: one configuration, one interface, three endpoints [L].
inline constexpr uint8_t kConfiguration = 1;
inline constexpr uint8_t kBulkIn = 0x81;
inline constexpr uint8_t kBulkOut = 0x02;
inline constexpr uint8_t kInterruptIn = 0x83;
inline constexpr uint8_t kRequestTo = 0x40, kRequestFrom = 0xc0;  // vendor, device
inline constexpr uint8_t kRequestWrite = 0xa0;                    // index: the register; four octets
inline constexpr uint8_t kRequestRead = 0xa1;
inline constexpr uint8_t kRequestCounters = 0xa2;  // counters.h

enum Register : uint16_t {
  kIdRev = 0x000,  // chip in the upper half, revision in the lower
  kIntSts = 0x00c,
  kHwCfg = 0x010,
  kPmtCtl = 0x014,
  kDpSel = 0x024,  // the data port: which RAM, a command, an address, a word
  kDpCmd = 0x028,
  kDpAddr = 0x02c,
  kDpData = 0x030,
  kE2pCmd = 0x040,
  kE2pData = 0x044,
  kUsbCfg0 = 0x080,
  kBurstCap = 0x090,   // packets that a transfer in has at most
  kBulkInDly = 0x094,  // how long the chip waits for more frames
  kIntEpCtl = 0x098,
  kRfeCtl = 0x0b0,  // the receive filtering engine
  kVlanType = 0x0b4,
  kFctRxCtl = 0x0c0,  // the FIFO controllers
  kFctTxCtl = 0x0c4,
  kMacCr = 0x100,
  kMacRx = 0x104,
  kMacTx = 0x108,
  kRxAddrH = 0x118,  // the own address: the last two octets, the first four
  kRxAddrL = 0x11c,
  kMiiAcc = 0x120,
  kMiiData = 0x124,
  kMafHi0 = 0x400,  // perfect filters, eight octets each
  kMafLo0 = 0x404,
};
inline constexpr uint16_t kRegistersEnd = 0x800;
inline constexpr uint16_t kOtpBegin = 0x1000, kOtpEnd = 0x1100;

// kIntSts: a bit that is written goes off. kIntEpCtl: which of them the interrupt endpoint tells.
inline constexpr uint32_t kIntPhy = 0x0002'0000;
inline constexpr uint32_t kInterruptBytes = 4;  // kIntSts
// kHwCfg
inline constexpr uint32_t kHwManyFrames = 0x10;                     // several frames in a transfer in
inline constexpr uint32_t kHwLiteReset = 0x02, kHwSoftReset = 0x1;  // clear themselves
// kPmtCtl
inline constexpr uint32_t kPmtReady = 0x80;
inline constexpr uint32_t kPmtPhyReset = 0x10;  // clears itself
// kDpSel, kDpCmd, kDpAddr: the RAM has the VLAN table, a bit an id, and behind it the hash, a bit a bucket.
inline constexpr uint32_t kDpReady = 0x8000'0000;
inline constexpr uint32_t kDpRamMask = 0x0f, kDpRamVlanAndHash = 0x01;
inline constexpr uint32_t kDpWrite = 0x01;
inline constexpr uint32_t kVlanWords = 128, kHashWords = 16, kTableWords = kVlanWords + kHashWords;
// kE2pCmd
inline constexpr uint32_t kE2pBusy = 0x8000'0000;
// kUsbCfg0
inline constexpr uint32_t kUsbNakWhenEmpty = 0x40;  // and no empty packet
inline constexpr uint32_t kUsbBurstCap = 0x20;      // kBurstCap holds
// kRfeCtl
inline constexpr uint32_t kRfeIgmpSum = 0x4000, kRfeIcmpSum = 0x2000, kRfeTcpUdpSum = 0x1000, kRfeIpSum = 0x0800;
inline constexpr uint32_t kRfeSums = kRfeIgmpSum | kRfeIcmpSum | kRfeTcpUdpSum | kRfeIpSum;
inline constexpr uint32_t kRfeBroadcast = 0x0400;
inline constexpr uint32_t kRfeAllMulticast = 0x0200;
inline constexpr uint32_t kRfeAllUnicast = 0x0100;
inline constexpr uint32_t kRfeVlanStrip = 0x0080;
inline constexpr uint32_t kRfeOnlyTagged = 0x0040;
inline constexpr uint32_t kRfeVlanFilter = 0x0020;
inline constexpr uint32_t kRfeMulticastHash = 0x0008;
inline constexpr uint32_t kRfePerfect = 0x0002;
inline constexpr uint32_t kRfeReset = 0x0001;
// kFctRxCtl, kFctTxCtl
inline constexpr uint32_t kFctEnable = 0x8000'0000;
inline constexpr uint32_t kFctReset = 0x4000'0000;     // clears itself
inline constexpr uint32_t kFctDisabled = 0x0010'0000;  // it has come to rest
// kMacCr
inline constexpr uint32_t kMacAutoDuplex = 0x1000, kMacAutoSpeed = 0x0800;  // as the PHY says
inline constexpr uint32_t kMacReset = 0x0001;                               // clears itself
// kMacRx, kMacTx
inline constexpr uint32_t kMacRxMaxShift = 16;  // the longest frame, with FCS
inline constexpr uint32_t kMacRxMaxMask = 0x3fff;
inline constexpr uint32_t kMacDisabled = 0x2;  // it has come to rest
inline constexpr uint32_t kMacEnable = 0x1;
// kMiiAcc: phy << 11, register << 6
inline constexpr uint32_t kMiiPhyShift = 11, kMiiRegisterShift = 6, kMiiFieldMask = 0x1f;
inline constexpr uint32_t kMiiWrite = 0x2;
inline constexpr uint32_t kMiiBusy = 0x1;
inline constexpr uint8_t kPhyInside = 1;  // its address; one outside is at 0 to 7
// Perfect filters: kMafHi0 + 8 * n and kMafLo0 + 8 * n, as kRxAddrH and kRxAddrL. The first has the own address.
inline constexpr uint32_t kMafs = 33;
inline constexpr uint32_t kMafValid = 0x8000'0000;
constexpr uint16_t maf_hi(uint32_t n) noexcept {
  return static_cast<uint16_t>(kMafHi0 + 8 * n);
}
constexpr uint16_t maf_lo(uint32_t n) noexcept {
  return static_cast<uint16_t>(kMafLo0 + 8 * n);
}
constexpr uint32_t address_lo(const MacAddress& address) noexcept {
  const auto& o = address.octets;
  return o[0] | uint32_t{o[1]} << 8 | uint32_t{o[2]} << 16 | uint32_t{o[3]} << 24;
}
constexpr uint32_t address_hi(const MacAddress& address) noexcept {
  return address.octets[4] | uint32_t{address.octets[5]} << 8;
}
constexpr MacAddress address_of(uint32_t hi, uint32_t lo) noexcept {
  MacAddress address;
  for (uint32_t n = 0; n < 6; ++n) address.octets[n] = static_cast<uint8_t>(n < 4 ? lo >> 8 * n : hi >> 8 * (n - 4));
  return address;
}

// The PHY inside, and Microchip's LAN8835 outside, tell changes of the link by two registers of their own [L
// microchip.c].
inline constexpr uint16_t kPhyIdHigh = 0x0007, kPhyIdLow = 0xc130, kPhyIdLowMask = 0xfff0;
inline constexpr uint8_t kPhyIntMask = 0x19, kPhyIntStatus = 0x1a;  // the status is zero when it was read
inline constexpr uint16_t kPhyIntPin = 0x8000, kPhyIntLink = 0x2000;
inline constexpr uint8_t kPhyPage = 0x1f;  // registers 16 to 30 are of that page

// A frame that is sent: words A and B, and its octets without FCS; the next begins at the next multiple of four.
inline constexpr uint32_t kTxHeaderBytes = 8, kTxAlignment = 4;
inline constexpr uint32_t kTxLength = 0x000f'ffff;     // of A
inline constexpr uint32_t kTxFcs = 0x0040'0000;        // append it, and pad
inline constexpr uint32_t kTxInsertTag = 0x0100'0000;  // the low half of B
inline constexpr uint32_t kTxTcpUdpSum = 0x0200'0000, kTxIpSum = 0x0400'0000;
inline constexpr uint32_t kTxSegment = 0x0800'0000;  // TCP, cut at the payload that B's upper half says
inline constexpr uint32_t kTxSegmentShift = 16, kTxSegmentMask = 0x3fff, kTxSegmentMin = 8;

// A frame that is received: words A and B, half a word C, its octets with FCS; padding, so that the next begins at a
// multiple of four.
inline constexpr uint32_t kRxHeaderBytes = 10, kRxAlignment = 4, kFcsBytes = 4;
inline constexpr uint32_t kRxLength = 0x3fff;  // of A, with FCS
inline constexpr uint32_t kRxIpSumBad = 0x8000'0000, kRxSumBad = 0x4000'0000;
inline constexpr uint32_t kRxIpv6 = 0x2000'0000;
inline constexpr uint32_t kRxProtocol = 0x1800'0000, kRxTcp = 0x0800'0000, kRxUdp = 0x1000'0000, kRxIp = 0x1800'0000;
inline constexpr uint32_t kRxTagged = 0x0080'0000;
inline constexpr uint32_t kRxBad = 0x0040'0000;    // something is wrong with it besides sums
inline constexpr uint32_t kRxNoSum = 0x0000'4000;  // the sum was not looked at
inline constexpr uint32_t kRxRawSumShift = 16;     // B's upper half: of all octets from the network header on

constexpr uint32_t round_up(uint32_t size, uint32_t alignment) noexcept {
  return (size + alignment - 1) / alignment * alignment;
}

inline constexpr uint32_t kFifoBytes = 12 * 1024;  // each way
inline constexpr uint32_t kFrameMin = 60;          // the chip pads to that
inline constexpr uint32_t kHeaderBytes = 14;
inline constexpr uint32_t kVlanTagBytes = 4;
inline constexpr uint32_t kMtuMax = 9000;
constexpr uint32_t frame_max(uint32_t mtu) noexcept {
  return mtu + kHeaderBytes + kVlanTagBytes;
}
inline constexpr uint32_t kFrameMax = frame_max(kMtuMax);

// The bucket of a multicast address: the top nine bits of its CRC.
inline constexpr uint32_t kBuckets = 512;
constexpr uint32_t bucket_of(const MacAddress& address) noexcept {
  return usb::ether_crc(address) >> 23;
}

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/model_test.cc
