// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/device_features.h"

#include <fmt/format.h>

#include "core/contract/ndo.h"
#include "core/lock/notice.h"

namespace usernic {
namespace {

constexpr Features kTcp{Feature::kTso4, Feature::kTso6};
constexpr Features kOfCards = kSegmentation | Features{Feature::kTxSum, Feature::kGroHw};
constexpr Features kOfCore{Feature::kGso, Feature::kGro};

std::string names(Features features) {
  std::string all;
  for (uint32_t i = 0; i < kFeatureCount; ++i) {
    if (!features.has(static_cast<Feature>(i))) continue;
    all += (all.empty() ? "" : ", ") + std::string(kFeatureNames[i]);
  }
  return all;
}

Features fixed(Device& dev, Features wanted) {
  const Features together = features_that_go_together(wanted);
  if (!has_ndo<Ndo::kFixFeatures>(dev)) return together;
  return features_that_go_together(call_ndo<Ndo::kFixFeatures>(dev, together) & together);
}

}  // namespace

Features features_that_go_together(Features wanted) noexcept {
  if (!wanted.has(Feature::kTxSum)) wanted = wanted.without(kSegmentation);
  if ((wanted & kTcp).none()) wanted = wanted.without({Feature::kTsoEcn});
  return wanted;
}

std::string features_error(Features hw) {
  if (const Features unknown = hw.without(kOfCards); !unknown.none()) {
    const std::string known = names(unknown);
    return known.empty() ? fmt::format("bits {:#x} are no feature", unknown.bits())
                         : fmt::format("{} is the core's: every device has it", known);
  }
  const Features lost = hw.without(features_that_go_together(hw));
  if (lost.none()) return {};
  if (!hw.has(Feature::kTxSum)) {
    return fmt::format("{} without {}: each segment needs a sum of its own", names(lost),
                       names(Features{Feature::kTxSum}));
  }
  return fmt::format("{} without {}", names(lost), names(kTcp));
}

bool configure_features(Device& dev) {
  const Features card = has_ndo<Ndo::kHwFeatures>(dev) ? call_ndo<Ndo::kHwFeatures>(dev) : Features();
  if (const std::string wrong = features_error(card); !wrong.empty()) {
    notice("{} (driver {}) is not registered: its hw_features cannot be: {}", dev.name(), dev.driver_name(), wrong);
    return false;
  }
  dev.hw_features_ = card | kOfCore;
  dev.features_.store(fixed(dev, dev.hw_features_).bits());
  return true;
}

Result<> change_features_locked(Device& dev, Features wanted) {
  if (!wanted.without(dev.hw_features_).none()) return fail(std::errc::operation_not_supported);
  const Features next = fixed(dev, wanted);
  if (next == dev.features()) return {};
  // What goes off is off before the card stops doing it, what goes on is on once it does it.
  const uint32_t before = dev.features_.fetch_and(next.bits());
  for (TxQueue& queue : dev.tx_queues) SpinGuardBh nobody_sends_by_the_old_ones(queue.xmit_lock());
  if (const Result<> set = call_ndo<Ndo::kSetFeatures>(dev, next); !set) {
    dev.features_.store(before);
    return set;
  }
  dev.features_.store(next.bits());
  return {};
}

}  // namespace usernic
