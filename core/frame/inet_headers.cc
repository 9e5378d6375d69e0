// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/inet_headers.h"

#include <algorithm>

#include "core/frame/inet_sum.h"

namespace usernic::inet {
namespace {

constexpr uint32_t kEthernet = 14, kTag = 4, kTagsMax = 2;
constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;
constexpr uint32_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kUdpHeader = 8;
constexpr uint32_t kHeadersMax = 4096;  // longer ones are nobody's
constexpr uint8_t kHopByHop = 0, kRouting = 43, kDestination = 60;

// An offset into the frame at which something so long ends within it.
bool fits(std::span<const uint8_t> frame, uint32_t at, uint32_t size) noexcept USERNIC_NONBLOCKING {
  return at <= kHeadersMax && at + size <= frame.size();
}

bool find_ipv4(std::span<const uint8_t> frame, Length length, Headers& headers) noexcept USERNIC_NONBLOCKING {
  if (!fits(frame, headers.network, kIpv4Header)) return false;
  const uint8_t* const ip = &frame[headers.network];
  const uint32_t header = (ip[0] & 0xfu) * 4;
  if (ip[0] >> 4 != 4 || header < kIpv4Header || !fits(frame, headers.network, header)) return false;
  if ((load16(ip + 6) & 0x3fff) != 0) return false;  // a fragment
  headers.transport = static_cast<uint16_t>(headers.network + header);
  headers.protocol = ip[9];
  headers.end = length == Length::kAll ? static_cast<uint32_t>(frame.size()) : headers.network + load16(ip + 2);
  return true;
}

bool find_ipv6(std::span<const uint8_t> frame, Length length, Headers& headers) noexcept USERNIC_NONBLOCKING {
  if (!fits(frame, headers.network, kIpv6Header)) return false;
  const uint8_t* const ip = &frame[headers.network];
  if (ip[0] >> 4 != 6) return false;
  headers.v6 = true;
  headers.end =
      length == Length::kAll ? static_cast<uint32_t>(frame.size()) : headers.network + kIpv6Header + load16(ip + 4);
  uint8_t next = ip[6];
  uint32_t at = headers.network + kIpv6Header;
  while (next == kHopByHop || next == kRouting || next == kDestination) {
    if (!fits(frame, at, 8)) return false;
    const uint32_t size = (frame[at + 1] + 1u) * 8;
    next = frame[at];
    at += size;
  }
  if (at > kHeadersMax) return false;
  headers.transport = static_cast<uint16_t>(at);
  headers.protocol = next;
  return true;
}

bool find_payload(std::span<const uint8_t> frame, Length length, Headers& headers) noexcept USERNIC_NONBLOCKING {
  const uint8_t* const at = frame.data() + headers.transport;
  uint32_t header = kUdpHeader;
  if (headers.protocol == kTcp) {
    if (!fits(frame, headers.transport, kTcpHeader)) return false;
    header = (at[12] >> 4) * 4u;
    if (header < kTcpHeader) return false;
  } else if (headers.protocol != kUdp) {
    return false;
  }
  if (!fits(frame, headers.transport, header)) return false;
  if (headers.end > frame.size() || headers.end < headers.transport + header) return false;
  const bool udp_contradicts =
      headers.protocol == kUdp && length == Length::kSaid && load16(at + 4) != headers.transport_bytes();
  if (udp_contradicts) return false;
  headers.payload = static_cast<uint16_t>(headers.transport + header);
  return true;
}

}  // namespace

std::optional<Headers> find_headers(std::span<const uint8_t> frame, Length length) noexcept {
  uint32_t at = kEthernet;
  if (frame.size() < at) return {};
  uint16_t type = load16(&frame[at - 2]);
  for (uint32_t tags = 0; type == kVlan || type == kServiceVlan; ++tags) {
    if (tags == kTagsMax || frame.size() < at + kTag) return {};
    at += kTag;
    type = load16(&frame[at - 2]);
  }
  Headers headers{.network = static_cast<uint16_t>(at)};
  const bool found =
      (type == kIpv4 && find_ipv4(frame, length, headers)) || (type == kIpv6 && find_ipv6(frame, length, headers));
  if (!found || !find_payload(frame, length, headers)) return {};
  return headers;
}

uint64_t pseudo_sum(const uint8_t* frame, const Headers& headers, uint32_t transport_bytes) noexcept {
  const uint32_t addresses = headers.v6 ? 32 : 8;
  const uint8_t* const from = frame + headers.network + (headers.v6 ? 8 : 12);
  return sum_of({from, addresses}) + plus(headers.protocol) + plus(transport_bytes);
}

void set_ip_sum(uint8_t* frame, const Headers& headers) noexcept {
  uint8_t* const ip = frame + headers.network;
  store_sum(ip + 10, 0);
  store_sum(ip + 10, static_cast<uint16_t>(~fold(sum_of({ip, (ip[0] & 0xfu) * 4}))));
}

void set_length(uint8_t* frame, const Headers& headers, uint32_t transport_bytes) noexcept {
  uint8_t* const ip = frame + headers.network;
  const uint32_t network_header = headers.transport - headers.network;
  if (headers.protocol == kUdp) store16(frame + headers.transport + 4, transport_bytes);
  if (headers.v6) return store16(ip + 4, network_header - kIpv6Header + transport_bytes);
  store16(ip + 2, network_header + transport_bytes);
  set_ip_sum(frame, headers);
}

bool sums_are_right(std::span<const uint8_t> frame, const Headers& headers) noexcept {
  const uint8_t* const ip = &frame[headers.network];
  if (!headers.v6 && fold(sum_of({ip, (ip[0] & 0xfu) * 4})) != 0xffff) return false;
  const auto packet = frame.subspan(headers.transport, headers.transport_bytes());
  // A UDP sender may leave it out, over IPv4; nobody knows then.
  if (headers.protocol == kUdp && load_sum(&packet[6]) == 0) return false;
  return fold(pseudo_sum(frame.data(), headers, headers.transport_bytes()) + sum_of(packet)) == 0xffff;
}

}  // namespace usernic::inet
