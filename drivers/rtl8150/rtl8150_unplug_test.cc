// SPDX-License-Identifier: Apache-2.0 OR MIT
// In process, and over USB/IP.
#include "bus/usbnet/unplug_tests.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

class Rtl8150UnplugTest : public ::testing::TestWithParam<bool> {
 public:
  static std::unique_ptr<Adapter> made() { return std::make_unique<Adapter>(GetParam()); }
};

TEST_P(Rtl8150UnplugTest, AtEachTransferItComesBackWithItsFilter) {
  usb::unplug_at_each_transfer(made);
}
TEST_P(Rtl8150UnplugTest, WhileItIsAwayTheDeviceSaysSoAndTakesChanges) {
  usb::unplug_and_change(made);
}
TEST_P(Rtl8150UnplugTest, ClosedWhileItIsAwayItStaysClosed) {
  usb::unplug_and_close(made);
}
TEST_P(Rtl8150UnplugTest, FreedWhileItIsAwayNobodyLooksForIt) {
  usb::unplug_and_free(made);
}

INSTANTIATE_TEST_SUITE_P(Rtl8150, Rtl8150UnplugTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "OverUsbip" : "InProcess"; });

}  // namespace
}  // namespace usernic::rtl8150
