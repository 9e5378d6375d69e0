// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/hostile_tests.h"
#include "drivers/lan78xx/adapter_fixture.h"

namespace usernic::lan78xx {
namespace {

// Opening it takes some fifty answers.
TEST(Lan78xxHostileTest, NothingItSaysDoesHarm) {
  usb::nothing_it_says_does_harm<Lan78xx, Model>(12, 60, kPermanent);
}
TEST(Lan78xxHostileTest, NothingItSaysFromTheBeginningDoesHarm) {
  usb::nothing_it_says_does_harm<Lan78xx, Model>(6, 3, kPermanent);
}

}  // namespace
}  // namespace usernic::lan78xx
