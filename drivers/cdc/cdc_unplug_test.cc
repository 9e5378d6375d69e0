// SPDX-License-Identifier: Apache-2.0 OR MIT
// In process, and over USB/IP.
#include "bus/usbnet/unplug_tests.h"
#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

class CdcUnplugTest : public ::testing::TestWithParam<std::tuple<Kind, bool>> {
 public:
  static std::unique_ptr<Adapter> made() {
    return std::make_unique<Adapter>(std::get<Kind>(GetParam()).make, std::get<bool>(GetParam()));
  }
};

TEST_P(CdcUnplugTest, AtEachTransferItComesBackWithItsFilter) {
  usb::unplug_at_each_transfer(made);
}
TEST_P(CdcUnplugTest, WhileItIsAwayTheDeviceSaysSoAndTakesChanges) {
  usb::unplug_and_change(made);
}
TEST_P(CdcUnplugTest, ClosedWhileItIsAwayItStaysClosed) {
  usb::unplug_and_close(made);
}
TEST_P(CdcUnplugTest, FreedWhileItIsAwayNobodyLooksForIt) {
  usb::unplug_and_free(made);
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcUnplugTest, ::testing::Combine(::testing::ValuesIn(kListed), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<Kind>(info.param).name) +
                                  (std::get<bool>(info.param) ? "OverUsbip" : "InProcess");
                         });

}  // namespace
}  // namespace usernic::cdc
