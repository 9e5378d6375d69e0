// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: TCP and UDP packets, octet by octet, with sums made in the simplest way.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <vector>

#include "core/frame/inet_headers.h"
#include "usernic/skb.h"

namespace usernic {

using Octets = std::vector<uint8_t>;

struct Packet {
  bool v6 = false, udp = false;
  Octets tags;  // VLAN tags, as they stand in the frame
  Octets ip_options, extensions, tcp_options;
  uint8_t first_extension = 0;
  uint8_t tos = 0, ttl = 64, flags = inet::kAck;
  uint16_t id = 1000, fragment = 0x4000, window = 500, urgent = 0;
  uint16_t from_port = 4000, to_port = 5000;
  uint8_t from_host = 1, to_host = 2;
  uint32_t sequence = 7'000'000, acknowledged = 99, flow_label = 0;
  uint32_t payload_bytes = 0;
  uint32_t first_payload = 0;  // the octets count on from here
  bool sum = true;             // false: no UDP sum

  Octets octets() const;
  uint32_t header_bytes() const {
    return 14 + static_cast<uint32_t>(tags.size()) + network_bytes() + transport_bytes();
  }
  uint32_t network_bytes() const { return static_cast<uint32_t>(v6 ? 40 + extensions.size() : 20 + ip_options.size()); }
  uint32_t transport_bytes() const { return static_cast<uint32_t>(udp ? 8 : 20 + tcp_options.size()); }
};

// The sum, folded and inverted, of 16-bit numbers, most significant octet first.
inline uint16_t plain_sum(const Octets& octets) {
  uint64_t sum = 0;
  for (size_t i = 0; i < octets.size(); ++i) sum += uint64_t{octets[i]} << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

inline Octets Packet::octets() const {
  Octets all;
  const auto add = [&all](std::initializer_list<uint32_t> values, int bytes) {
    for (const uint32_t value : values) {
      for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) all.push_back(static_cast<uint8_t>(value >> shift));
    }
  };
  const auto append = [&all](const Octets& more) { all.insert(all.end(), more.begin(), more.end()); };
  add({0x0200, 0, to_host, 0x0200, 0, from_host}, 2);
  append(tags);
  add({v6 ? 0x86ddu : 0x0800u}, 2);
  const size_t network = all.size();
  const uint32_t transport_and_payload = transport_bytes() + payload_bytes;
  const uint8_t protocol = udp ? inet::kUdp : inet::kTcp;
  if (v6) {
    add({6u << 28 | uint32_t{tos} << 20 | flow_label}, 4);
    add({static_cast<uint32_t>(extensions.size()) + transport_and_payload}, 2);
    add({extensions.empty() ? protocol : first_extension, ttl}, 1);
    add({0xfd00'0000, 0, 0, from_host, 0xfd00'0000, 0, 0, to_host}, 4);
    append(extensions);
  } else {
    add({0x40 | static_cast<uint32_t>(5 + ip_options.size() / 4), tos}, 1);
    add({network_bytes() + transport_and_payload, id, fragment}, 2);
    add({ttl, protocol}, 1);
    add({0}, 2);
    add({0x0a00'0000u | from_host, 0x0a00'0000u | to_host}, 4);
    append(ip_options);
    const uint16_t ip_sum = plain_sum(Octets(all.begin() + static_cast<long>(network), all.end()));
    all[network + 10] = static_cast<uint8_t>(ip_sum >> 8), all[network + 11] = static_cast<uint8_t>(ip_sum);
  }
  const size_t transport = all.size();
  add({from_port, to_port}, 2);
  if (udp) {
    add({transport_and_payload, 0}, 2);
  } else {
    add({sequence, acknowledged}, 4);
    add({static_cast<uint32_t>(transport_bytes() / 4) << 4, flags}, 1);
    add({window, 0, urgent}, 2);
    append(tcp_options);
  }
  for (uint32_t i = 0; i < payload_bytes; ++i) all.push_back(static_cast<uint8_t>((first_payload + i) * 37 >> 2));
  Octets summed(all.begin() + static_cast<long>(network) + (v6 ? 8 : 12),
                all.begin() + static_cast<long>(network) + (v6 ? 40 : 20));
  summed.insert(summed.end(), {0, protocol, static_cast<uint8_t>(transport_and_payload >> 8),
                               static_cast<uint8_t>(transport_and_payload)});
  summed.insert(summed.end(), all.begin() + static_cast<long>(transport), all.end());
  uint16_t value = plain_sum(summed);
  if (udp && value == 0) value = 0xffff;
  if (udp && !sum) value = 0;
  const size_t field = transport + inet::sum_field(protocol);
  all[field] = static_cast<uint8_t>(value >> 8), all[field + 1] = static_cast<uint8_t>(value);
  return all;
}

inline Skb& skb_of(SkbPool& pool, const Octets& octets) {
  Skb& skb = *pool.alloc();
  std::copy(octets.begin(), octets.end(), skb.put(static_cast<uint32_t>(octets.size())));
  return skb;
}

// All octets of a frame, and of its chain.
inline Octets octets_of(const Skb& skb) {
  Octets all(skb.bytes().begin(), skb.bytes().end());
  for (const Skb* part = skb.chain(); part != nullptr; part = Skb::chain_next(*part)) {
    all.insert(all.end(), part->bytes().begin(), part->bytes().end());
  }
  return all;
}
inline std::vector<Octets> octets_of(SkbBatch& batch) {
  std::vector<Octets> all;
  for (const Skb* skb = batch.front(); skb != nullptr; skb = Skb::chain_next(*skb)) all.push_back(octets_of(*skb));
  return all;
}

// The packets that a packet is cut into, written down one by one.
inline std::vector<Octets> segments_by_hand(const Packet& super, uint32_t size) {
  std::vector<Octets> all;
  for (uint32_t at = 0; at < super.payload_bytes; at += size) {
    Packet each = super;
    const bool last = at + size >= super.payload_bytes;
    each.payload_bytes = last ? super.payload_bytes - at : size;
    each.first_payload += at;
    each.sequence += at;
    each.id = static_cast<uint16_t>(each.id + at / size);
    if (at != 0) each.flags &= static_cast<uint8_t>(~inet::kCwr);
    if (!last) each.flags &= static_cast<uint8_t>(~(inet::kPsh | inet::kFin));
    all.push_back(each.octets());
  }
  return all;
}

inline Gso gso_of(const Packet& packet) {
  if (packet.udp) return Gso::kUdp;
  return packet.v6 ? Gso::kTcp6 : Gso::kTcp4;
}

// It as one who sends has it: one buffer, the sum of the pseudo header in the field.
inline Skb& superframe(SkbPool& pool, const Packet& packet, uint32_t size) {
  Skb& skb = skb_of(pool, packet.octets());
  skb.set_offload({.gso = gso_of(packet),
                   .ecn = (packet.flags & inet::kCwr) != 0 && !packet.udp,
                   .gso_size = static_cast<uint16_t>(size)});
  return skb;
}

}  // namespace usernic
