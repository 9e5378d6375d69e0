// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: offloads, which a device does for the stack and which can be switched off.
//
// `hw_features` is what the card can do, constant from registration on. `features` is what it does now. The core does
// the rest right before the driver, so that nobody above has to know. [netdevices: netdev features]
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace usernic {

enum class Feature : uint8_t {
  kTxSum,   // start_xmit takes frames whose sum is kNeeded, of any protocol
  kTso4,    // start_xmit takes superframes of TCP over IPv4
  kTso6,    // ... over IPv6
  kTsoEcn,  // ... whose first segment says CWR
  kUso,     // ... of UDP
  kGroHw,   // the card receives superframes whole
  // The core's, for every device.
  kGso,  // a port offers superframes of kinds that start_xmit does not take
  kGro,  // received frames are merged for a port that takes superframes
};
inline constexpr uint32_t kFeatureCount = 8;

class Features {
 public:
  constexpr Features() noexcept = default;
  constexpr Features(std::initializer_list<Feature> of) noexcept {
    for (const Feature each : of) bits_ |= bit(each);
  }
  static constexpr Features from_bits(uint32_t bits) noexcept {
    Features features;
    features.bits_ = bits;
    return features;
  }
  constexpr uint32_t bits() const noexcept { return bits_; }
  constexpr bool has(Feature feature) const noexcept { return (bits_ & bit(feature)) != 0; }
  constexpr bool none() const noexcept { return bits_ == 0; }
  constexpr Features operator|(Features other) const noexcept { return from_bits(bits_ | other.bits_); }
  constexpr Features operator&(Features other) const noexcept { return from_bits(bits_ & other.bits_); }
  constexpr Features without(Features other) const noexcept { return from_bits(bits_ & ~other.bits_); }
  constexpr bool operator==(const Features&) const noexcept = default;

 private:
  static constexpr uint32_t bit(Feature feature) noexcept { return uint32_t{1} << static_cast<uint8_t>(feature); }
  uint32_t bits_ = 0;
};

inline constexpr Features kSegmentation{Feature::kTso4, Feature::kTso6, Feature::kTsoEcn, Feature::kUso};

// By the names that ethtool has for them, in the order of Feature.
inline constexpr std::array<std::string_view, kFeatureCount> kFeatureNames{
    "tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation",    "tx-tcp-ecn-segmentation",
    "tx-udp-segmentation",    "rx-gro-hw",           "tx-generic-segmentation", "rx-gro"};

}  // namespace usernic
// Explained best by: core/frame/tx_offload_test.cc
