// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/reception_tests.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

using usb::Reception;

// One whose bucket no group that a test wants has.
constexpr MacAddress foreign_group() {
  for (uint64_t n = 1000;; ++n) {
    bool alone = true;
    for (uint64_t wanted = 1; wanted <= 20; ++wanted) alone &= bucket_of(multicast(n)) != bucket_of(multicast(wanted));
    if (alone) return multicast(n);
  }
}

using Rtl8150Reception = ::testing::TestWithParam<Reception>;

TEST_P(Rtl8150Reception, IsAsWanted) {
  Adapter adapter;
  usb::receives_as_wanted(adapter, GetParam(), foreign_group(),
                          [](Reception mode) { return mode == Reception::kAllmulti; });
}

INSTANTIATE_TEST_SUITE_P(Rtl8150, Rtl8150Reception, ::testing::ValuesIn(usb::kReceptions),
                         [](const auto& info) { return usb::name_of(info.param); });

}  // namespace
}  // namespace usernic::rtl8150
