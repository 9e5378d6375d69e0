// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/reception_tests.h"
#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

using usb::Reception;

using CdcReception = ::testing::TestWithParam<std::tuple<Kind, Reception>>;

TEST_P(CdcReception, IsAsWanted) {
  const Make& make = std::get<Kind>(GetParam()).make;
  Adapter adapter{make};
  usb::receives_as_wanted(adapter, std::get<Reception>(GetParam()), multicast(1000), [&](Reception mode) {
    // A list that is too short is no list.
    return mode == Reception::kAllmulti || mode == Reception::kOverflow || make.multicasts == 0;
  });
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcReception,
                         ::testing::Combine(::testing::ValuesIn(kKinds), ::testing::ValuesIn(usb::kReceptions)),
                         [](const auto& info) {
                           return std::string(std::get<Kind>(info.param).name) + "_" +
                                  usb::name_of(std::get<Reception>(info.param));
                         });

}  // namespace
}  // namespace usernic::cdc
