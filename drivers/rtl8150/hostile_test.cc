// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/hostile_tests.h"
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

TEST(Rtl8150HostileTest, NothingItSaysDoesHarm) {
  usb::nothing_it_says_does_harm<Rtl8150, Model>(12, 10, kPermanent);
}
TEST(Rtl8150HostileTest, NothingItSaysFromTheBeginningDoesHarm) {
  usb::nothing_it_says_does_harm<Rtl8150, Model>(12, 2, kPermanent);
}

}  // namespace
}  // namespace usernic::rtl8150
