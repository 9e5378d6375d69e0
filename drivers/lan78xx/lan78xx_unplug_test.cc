// SPDX-License-Identifier: Apache-2.0 OR MIT
// In process, and over USB/IP.
#include "bus/usbnet/unplug_tests.h"
#include "drivers/lan78xx/adapter_fixture.h"

namespace usernic::lan78xx {
namespace {

class Lan78xxUnplugTest : public ::testing::TestWithParam<bool> {
 public:
  static std::unique_ptr<Adapter> made() { return std::make_unique<Adapter>(GetParam()); }
};

TEST_P(Lan78xxUnplugTest, AtEachTransferItComesBackWithItsFilter) {
  usb::unplug_at_each_transfer(made);
}
TEST_P(Lan78xxUnplugTest, WhileItIsAwayTheDeviceSaysSoAndTakesChanges) {
  usb::unplug_and_change(made);
}
TEST_P(Lan78xxUnplugTest, ClosedWhileItIsAwayItStaysClosed) {
  usb::unplug_and_close(made);
}
TEST_P(Lan78xxUnplugTest, FreedWhileItIsAwayNobodyLooksForIt) {
  usb::unplug_and_free(made);
}

INSTANTIATE_TEST_SUITE_P(Lan78xx, Lan78xxUnplugTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "OverUsbip" : "InProcess"; });

}  // namespace
}  // namespace usernic::lan78xx
