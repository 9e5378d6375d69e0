// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/reception_tests.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

using usb::Reception;

using Rtl8150Reception = ::testing::TestWithParam<Reception>;

TEST_P(Rtl8150Reception, IsAsWanted) {
  Adapter adapter;
  constexpr MacAddress kForeign = usb::foreign_group<Adapter>(bucket_of, [](const MacAddress&) { return true; });
  usb::receives_as_wanted(adapter, GetParam(), kForeign, [](Reception mode) { return mode == Reception::kAllmulti; });
}

INSTANTIATE_TEST_SUITE_P(Rtl8150, Rtl8150Reception, ::testing::ValuesIn(usb::kReceptions),
                         [](const auto& info) { return usb::name_of(info.param); });

}  // namespace
}  // namespace usernic::rtl8150
