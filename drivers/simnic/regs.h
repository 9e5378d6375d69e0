// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: the card's programming interface, as its data sheet would print it. Card and driver share this page only.
//
// Registers are 64 bits wide. A card that is not there reads as all ones and takes no writes.
// Interrupt vectors: one *event*, and *data* for each queue. Data is one-shot: it fires once after it was armed and
// must be armed again; arming it with indexes that the card has already passed fires it at once, so no completion is
// lost. Event fires whenever a cause comes up; reading the cause clears it. Queues: an RX and a TX ring each, or one of
// them where there are more of the one kind. What is received goes to the RX ring of its flow, by a hash, so that a
// flow has one [RSS]; what is sent keeps its order within a ring. Rings: the driver owns descriptors [head, tail) to
// fill, the card works from its head to the tail it was last told. Indexes run freely through 32 bits; slot = index mod
// size. A descriptor is done when its status says so. The filter is programmed through a mailbox: one transaction, any
// number of messages, each with its answer.
#pragma once

#include <array>
#include <cstdint>

#include "drivers/simnic/frame.h"
#include "usernic/env.h"
#include "usernic/mac_address.h"
#include "usernic/offload.h"

namespace usernic::simnic {

enum class Reg : uint32_t {
  kStatus = 0x00,       // R   kStatusLink
  kEventCause = 0x08,   // RC  kEvent*
  kControl = 0x10,      // RW  kControl*
  kResetAck = 0x20,     // W   1: the driver has seen the reset; until then the mailbox refuses every message
  kFilterClear = 0x28,  // W   1: own address and broadcast only, VLAN filter open
  kOwnAddress = 0x30,   // RW  first octet most significant; holds the permanent address after a reset
  kPermanent = 0x38,    // R   the address from the factory
  kFrameMax = 0x40,     // RW  longest frame, header included, FCS not; longer ones are dropped
  kSuperBuffer = 0x48,  // RW  superframes may come, over as many buffers as they need, of at least this; 0: none may
  // A block for each queue; these are of queue 0, of_queue() has the others.
  kRxRing = 0x80,        // W   address of the RX descriptors; head and tail become 0
  kRxSize = 0x88,        // W   descriptors, a power of two
  kRxTail = 0x90,        // W   doorbell: empty buffers up to here
  kTxRing = 0xc0,        // W   the same for TX
  kTxSize = 0xc8,        // W
  kTxTail = 0xd0,        // W   doorbell: frames up to here
  kInterruptArm = 0xe0,  // W   low half: the RX index the driver looks at next; high half: the TX index
};

inline constexpr uint32_t kQueueStride = 0x80;
constexpr Reg of_queue(Reg reg, uint32_t queue) noexcept {
  return static_cast<Reg>(static_cast<uint32_t>(reg) + queue * kQueueStride);
}

inline constexpr uint64_t kGone = ~uint64_t{0};  // what a card that is not there reads as
inline constexpr uint64_t kStatusLink = 1;
inline constexpr uint64_t kEventLink = 1;   // the link went up or down: read kStatus
inline constexpr uint64_t kEventReset = 2;  // the filter is empty: acknowledge, then program it again
inline constexpr uint64_t kControlRx = 1;
inline constexpr uint64_t kControlTx = 2;
inline constexpr uint64_t kFrameMaxReset = 1500 + kHeaderBytes + kVlanTagBytes;

constexpr uint64_t arm_value(uint32_t rx_index, uint32_t tx_index) noexcept {
  return uint64_t{tx_index} << 32 | rx_index;
}

enum class Vector : uint16_t { kEvent, kData };  // kData: of queue 0; the others follow
constexpr Vector data_vector(uint32_t queue) noexcept {
  return static_cast<Vector>(static_cast<uint32_t>(Vector::kData) + queue);
}
constexpr uint32_t queue_of(Vector vector) noexcept {
  return static_cast<uint32_t>(vector) - static_cast<uint32_t>(Vector::kData);
}

struct Descriptor {
  uint64_t address = 0;        // of the frame, or of the empty buffer
  uint32_t length = 0;         // of the frame; on an empty buffer: of the buffer, the card writes the frame's
  Atomic<uint32_t> status{0};  // written by the card last, cleared by the driver first
  Offload offload;  // what is left to do on the frame, of one over several buffers in the first; TX: by the card
};
inline constexpr uint32_t kDescriptorDone = 1;
inline constexpr uint32_t kDescriptorError = 2;  // TX: the frame was too long, or not what it says, and not sent
inline constexpr uint32_t kDescriptorMore = 4;   // RX: the frame goes on in the next one, which is done, too
inline constexpr uint32_t kSuperframeMax = 65'536 + kHeaderBytes + 2 * kVlanTagBytes;

enum class Op : uint8_t { kAdd, kDel, kSetBucket, kClearBucket, kOn, kOff };
enum class Table : uint8_t { kUnicast, kMulticast, kVlan, kPromisc, kAllmulti, kVlanOpen };

// One mailbox message: kAdd, kDel on the first three tables, k*Bucket on the first two, kOn, kOff on the flags.
struct Message {
  Op op;
  Table table;
  uint16_t vlan = 0;
  uint32_t bucket = 0;
  MacAddress address;
};
// Does it take something out of the filter?
constexpr bool unprograms(Op op) noexcept {
  return op == Op::kDel || op == Op::kClearBucket || op == Op::kOff;
}

namespace internal {
constexpr std::array<uint32_t, 256> make_crc_table() noexcept {
  std::array<uint32_t, 256> table{};
  for (uint32_t octet = 0; octet < 256; ++octet) {
    uint32_t value = octet;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb8'8320u : 0u);
    table[octet] = value;
  }
  return table;
}
inline constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();
}  // namespace internal

// The bucket of an address: the top log2(buckets) bits of the Ethernet CRC-32 of its six octets.
constexpr uint32_t bucket_of(const MacAddress& address, uint32_t buckets) noexcept {
  uint32_t crc = ~0u;
  for (uint8_t octet : address.octets) crc = (crc >> 8) ^ internal::kCrcTable[(crc ^ octet) & 0xff];
  return static_cast<uint32_t>(uint64_t{~crc} * buckets >> 32);
}

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/card_test.cc
