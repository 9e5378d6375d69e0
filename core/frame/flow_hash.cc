// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/flow_hash.h"

#include <algorithm>
#include <cstring>

#include "core/frame/inet_headers.h"

namespace usernic {
namespace {

constexpr uint32_t kAddresses = 12, kType = 2, kTag = 4;
constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;

uint64_t mixed(uint64_t hash) noexcept USERNIC_NONBLOCKING {
  hash = (hash ^ hash >> 32) * 0xd6e8'feb8'6659'fd93;
  return hash ^ hash >> 32;
}

// Up to eight octets a step.
uint64_t with(uint64_t hash, std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING {
  while (!octets.empty()) {
    uint64_t word = 0;
    const size_t size = std::min(octets.size(), sizeof word);
    std::memcpy(&word, octets.data(), size);
    hash = mixed(hash ^ word);
    octets = octets.subspan(size);
  }
  return hash;
}

// From the first IP address to the last one.
std::span<const uint8_t> ip_addresses(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING {
  uint32_t at = kAddresses;
  const auto type = [&]() noexcept USERNIC_NONBLOCKING {
    return frame.size() < at + kType ? uint16_t{0} : static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
  };
  while (type() == kVlan || type() == kServiceVlan) at += kTag;
  const uint32_t network = at + kType;
  if (type() == kIpv4 && frame.size() >= network + 20) return frame.subspan(network + 12, 8);
  if (type() == kIpv6 && frame.size() >= network + 40) return frame.subspan(network + 8, 32);
  return {};
}

}  // namespace

uint32_t flow_hash(std::span<const uint8_t> frame) noexcept {
  const std::span<const uint8_t> addresses = ip_addresses(frame);
  if (addresses.empty()) return static_cast<uint32_t>(with(1, frame.first(std::min<size_t>(frame.size(), kAddresses))));
  uint64_t hash = with(2, addresses);
  if (const auto headers = inet::find_headers(frame, inet::Length::kAll)) {
    hash = with(hash ^ headers->protocol, frame.subspan(headers->transport, 4));
  }
  return static_cast<uint32_t>(hash);
}

}  // namespace usernic
