// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a device does for who sends and receives, and can be asked to leave.
//
// `hw_features` is what the card can, constant from registration on; `features` what it does now. What it does not do
// the core does, at the driver's edge: nobody above has to know. [netdevices: netdev features]
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace usernic {

enum class Feature : uint8_t {
  kTxSum,   // start_xmit takes frames whose sum is kNeeded, of whatever protocol
  kTso4,    // ... superframes of TCP over IPv4,
  kTso6,    // over IPv6,
  kTsoEcn,  // such that say CWR,
  kUso,     // and of UDP
  kGro,     // received frames are merged for a port that takes superframes; the core's, every device has it
};
inline constexpr uint32_t kFeatureCount = 6;

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
    "tx-checksum-ip-generic",  "tx-tcp-segmentation", "tx-tcp6-segmentation",
    "tx-tcp-ecn-segmentation", "tx-udp-segmentation", "rx-gro"};

}  // namespace usernic
// Explained best by: core/frame/tx_offload_test.cc
