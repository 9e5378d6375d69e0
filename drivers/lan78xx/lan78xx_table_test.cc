// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/reception_tests.h"
#include "drivers/lan78xx/adapter_fixture.h"

namespace usernic::lan78xx {
namespace {

using usb::Reception;

using Lan78xxReception = ::testing::TestWithParam<Reception>;

TEST_P(Lan78xxReception, IsAsWanted) {
  Adapter adapter;
  usb::receives_as_wanted(
      adapter, GetParam(), foreign_group(), [](Reception mode) { return mode == Reception::kAllmulti; },
      usb::UnicastFilter::kThere);
}

INSTANTIATE_TEST_SUITE_P(Lan78xx, Lan78xxReception, ::testing::ValuesIn(usb::kReceptions),
                         [](const auto& info) { return usb::name_of(info.param); });

// By id: none, that of a priority alone, one that is wanted, one that is not.
TEST(Lan78xxVlanTest, TheTableLetsThroughWhatIsWanted) {
  Adapter adapter;
  ASSERT_TRUE(adapter.probe() && adapter.dev->open());
  RxMode& mode = adapter.dev->rx_mode();
  const auto heard = [&](uint8_t id) {
    const uint32_t number = 0x6000 + id;
    const uint32_t before = adapter.listener.seen(number);
    adapter.model.receive(usb::make_tagged(adapter.dev->address(), number, id));
    EXPECT_TRUE(adapter.through());
    return adapter.listener.seen(number) > before;
  };
  ASSERT_TRUE(adapter.settled());
  EXPECT_TRUE(heard(5) && heard(6));
  ASSERT_TRUE(mode.vlan_add(5) && mode.vlan_add(4094) && mode.set_vlan_filter(true) && adapter.settled());
  EXPECT_TRUE(adapter.model.filter().vlan_filter);
  EXPECT_EQ(adapter.model.filter().vlans, (std::vector<uint16_t>{0, 5, 4094}));
  EXPECT_TRUE(heard(5) && heard(0) && adapter.hears(adapter.dev->address()));
  EXPECT_FALSE(heard(6));
  ASSERT_TRUE(mode.vlan_del(5) && mode.vlan_add(6) && adapter.settled());
  EXPECT_TRUE(heard(6));
  EXPECT_FALSE(heard(5));
  adapter.plug->unplug();
  ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
  adapter.plug->plug();
  ASSERT_TRUE(adapter.back());
  EXPECT_EQ(adapter.model.filter().vlans, (std::vector<uint16_t>{0, 6, 4094}));
  ASSERT_TRUE(mode.set_vlan_filter(false) && adapter.settled());
  EXPECT_TRUE(heard(5));
}

}  // namespace
}  // namespace usernic::lan78xx
