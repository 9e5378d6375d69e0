// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/model_ip.h"

#include <algorithm>

namespace usernic::lan78xx {
namespace {

constexpr size_t kV4HeaderMin = 20, kV6Header = 40, kTcpHeaderMin = 20, kUdpHeader = 8;
constexpr size_t kV4Length = 2, kV4Id = 4, kV4Fragment = 6, kV4Protocol = 9, kV4Sum = 10, kV4Source = 12;
constexpr size_t kV6Length = 4, kV6Next = 6, kV6Source = 8;
constexpr size_t kTcpSequence = 4, kTcpOffset = 12, kTcpFlags = 13, kTcpSum = 16, kUdpSum = 6;
constexpr uint8_t kFin = 0x01, kPush = 0x08, kCwr = 0x80;

uint16_t be16(std::span<const uint8_t> octets, size_t at) noexcept {
  return static_cast<uint16_t>(octets[at] << 8 | octets[at + 1]);
}
void put_be16(std::span<uint8_t> octets, size_t at, size_t value) noexcept {
  octets[at] = static_cast<uint8_t>(value >> 8);
  octets[at + 1] = static_cast<uint8_t>(value);
}

uint16_t folded(uint64_t sum) noexcept {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint64_t add_up(std::span<const uint8_t> octets) noexcept {
  uint64_t sum = 0;
  for (size_t n = 0; n + 1 < octets.size(); n += 2) sum += be16(octets, n);
  return octets.size() % 2 != 0 ? sum + (uint64_t{octets.back()} << 8) : sum;
}

// Of addresses, protocol, length and the packet; right is 0xffff.
uint16_t transport_sum(std::span<const uint8_t> frame, const IpPacket& ip) noexcept {
  const size_t addresses = ip.network + (ip.v6 ? kV6Source : kV4Source);
  const size_t length = ip.end - ip.transport;
  return folded(add_up(frame.subspan(addresses, ip.v6 ? 32 : 8)) + ip.protocol + length +
                add_up(frame.subspan(ip.transport, length)));
}

size_t sum_at(const IpPacket& ip) noexcept {
  return ip.transport + (ip.protocol == kTcp ? kTcpSum : kUdpSum);
}

}  // namespace

std::optional<IpPacket> find_ip(std::span<const uint8_t> frame, size_t network) noexcept {
  if (network < 2 || frame.size() < network + kV4HeaderMin) return std::nullopt;
  const uint16_t type = be16(frame, network - 2);
  IpPacket ip{.network = network};
  if (type == 0x0800) {
    const size_t header = (frame[network] & 0x0f) * size_t{4}, length = be16(frame, network + kV4Length);
    if (frame[network] >> 4 != 4 || header < kV4HeaderMin || length < header) return std::nullopt;
    ip.transport = network + header;
    ip.end = network + length;
    const bool whole = (be16(frame, network + kV4Fragment) & 0x3fff) == 0;
    ip.protocol = whole ? frame[network + kV4Protocol] : uint8_t{0};
  } else if (type == 0x86dd && frame.size() >= network + kV6Header && frame[network] >> 4 == 6) {
    ip.v6 = true;
    ip.transport = network + kV6Header;
    ip.end = ip.transport + be16(frame, network + kV6Length);
    ip.protocol = frame[network + kV6Next];
  } else {
    return std::nullopt;
  }
  if (ip.end > frame.size()) return std::nullopt;
  const size_t room = ip.end - ip.transport;
  const bool known = (ip.protocol == kTcp && room >= kTcpHeaderMin) || (ip.protocol == kUdp && room >= kUdpHeader);
  if (!known) ip.protocol = 0;
  return ip;
}

uint16_t raw_sum(std::span<const uint8_t> octets) noexcept {
  return folded(add_up(octets));
}

bool header_sum_right(std::span<const uint8_t> frame, const IpPacket& ip) noexcept {
  return ip.v6 || raw_sum(frame.subspan(ip.network, ip.transport - ip.network)) == 0xffff;
}

bool transport_sum_right(std::span<const uint8_t> frame, const IpPacket& ip) noexcept {
  if (ip.protocol == kUdp && !ip.v6 && be16(frame, sum_at(ip)) == 0) return true;  // it has none
  return ip.protocol == 0 || transport_sum(frame, ip) == 0xffff;
}

void write_header_sum(std::span<uint8_t> frame, const IpPacket& ip) noexcept {
  if (ip.v6) return;
  put_be16(frame, ip.network + kV4Sum, 0);
  put_be16(frame, ip.network + kV4Sum, ~raw_sum(frame.subspan(ip.network, ip.transport - ip.network)) & 0xffffu);
}

void write_transport_sum(std::span<uint8_t> frame, const IpPacket& ip) noexcept {
  if (ip.protocol == 0) return;
  put_be16(frame, sum_at(ip), 0);
  const auto sum = static_cast<uint16_t>(~transport_sum(frame, ip));
  put_be16(frame, sum_at(ip), sum == 0 && ip.protocol == kUdp ? 0xffff : sum);
}

std::vector<std::vector<uint8_t>> cut(std::span<const uint8_t> frame, size_t network, size_t payload) {
  const auto ip = find_ip(frame, network);
  if (!ip || ip->protocol != kTcp || payload == 0) return {};
  const size_t data = ip->transport + (frame[ip->transport + kTcpOffset] >> 4) * size_t{4};
  if (data < ip->transport + kTcpHeaderMin || data > ip->end) return {};
  const uint32_t sequence =
      uint32_t{be16(frame, ip->transport + kTcpSequence)} << 16 | be16(frame, ip->transport + kTcpSequence + 2);
  std::vector<std::vector<uint8_t>> parts;
  for (size_t at = data; at < ip->end || parts.empty(); at += payload) {
    const size_t size = std::min(payload, ip->end - at);
    const bool first = at == data, last = at + size == ip->end;
    std::vector<uint8_t> part(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(data));
    part.insert(part.end(), frame.begin() + static_cast<ptrdiff_t>(at),
                frame.begin() + static_cast<ptrdiff_t>(at + size));
    const size_t length = part.size() - network;
    if (ip->v6) {
      put_be16(part, network + kV6Length, length - kV6Header);
    } else {
      put_be16(part, network + kV4Length, length);
      put_be16(part, network + kV4Id, be16(frame, network + kV4Id) + parts.size());
    }
    const auto next = static_cast<uint32_t>(sequence + (at - data));
    put_be16(part, ip->transport + kTcpSequence, next >> 16);
    put_be16(part, ip->transport + kTcpSequence + 2, next & 0xffff);
    if (!first) part[ip->transport + kTcpFlags] &= static_cast<uint8_t>(~kCwr);
    if (!last) part[ip->transport + kTcpFlags] &= static_cast<uint8_t>(~(kFin | kPush));
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace usernic::lan78xx
