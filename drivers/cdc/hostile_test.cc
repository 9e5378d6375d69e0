// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/hostile_tests.h"
#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

struct CdcHostileTest : ::testing::TestWithParam<Kind> {};

TEST_P(CdcHostileTest, NothingItSaysDoesHarm) {
  usb::nothing_it_says_does_harm<Cdc, Model>(12, 3, GetParam().make, kPermanent);
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcHostileTest, ::testing::ValuesIn(kKinds), name_of);

}  // namespace
}  // namespace usernic::cdc
