// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ctl/did_you_mean.h"
#include "drivers/cdc/model.h"
#include "drivers/lan78xx/model.h"
#include "drivers/rtl8150/model.h"

namespace usernic::daemon {
namespace {

template <class Model>
std::unique_ptr<usb::NicModel> make(const MacAddress& permanent) {
  return std::make_unique<Model>(permanent);
}

template <cdc::Framing kFraming>
std::unique_ptr<usb::NicModel> make_cdc(const MacAddress& permanent) {
  return std::make_unique<cdc::Model>(cdc::Make{.framing = kFraming}, permanent);
}

constexpr UsbModel kModels[] = {
    {"cdc-ecm", make_cdc<cdc::Framing::kEcm>},
    {"cdc-ncm", make_cdc<cdc::Framing::kNcm>},
    {"cdc-rndis", make_cdc<cdc::Framing::kRndis>},
    {"lan78xx", make<lan78xx::Model>},
    {"rtl8150", make<rtl8150::Model>},
};

}  // namespace

std::span<const UsbModel> usb_models() {
  return kModels;
}

const UsbModel* find_usb_model(std::string_view name) {
  const auto found = std::ranges::find(kModels, name, &UsbModel::name);
  return found == std::end(kModels) ? nullptr : found;
}

std::string no_usb_model(std::string_view name) {
  std::vector<std::string_view> names;
  for (const UsbModel& model : kModels) names.push_back(model.name);
  return fmt::format("names no model: '{}'{}", ctl::shortened(name), ctl::suggestion(name, names));
}

}  // namespace usernic::daemon
