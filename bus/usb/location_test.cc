// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/location.h"

#include <gtest/gtest.h>

namespace usernic::usb {
namespace {

TEST(UsbLocationTest, OfAServerHasHostPortAndBusId) {
  const auto location = Location::parse("usbip:127.0.0.1:4000/1-1.2");
  ASSERT_TRUE(location);
  EXPECT_EQ(location->host, "127.0.0.1");
  EXPECT_EQ(location->tcp_port, 4000);
  EXPECT_EQ(location->bus_id, "1-1.2");
  EXPECT_EQ(Location::parse("usbip:nas/1-1")->tcp_port, 3240);
  EXPECT_EQ(Location::parse("usbip:[fd09::1]:99/1-1")->host, "fd09::1");
  EXPECT_EQ(Location::parse("usbip:[fd09::1]/1-1")->tcp_port, 3240);
}

TEST(UsbLocationTest, OfAModelHasAWire) {
  const auto location = Location::parse("emulated:rtl8150/w3");
  ASSERT_TRUE(location);
  EXPECT_EQ(location->bus, Location::Bus::kEmulated);
  EXPECT_EQ(location->model, "rtl8150");
  EXPECT_EQ(location->wire, "w3");
  EXPECT_EQ(Location::parse("emulated:rtl8150")->wire, "w0");
}

TEST(UsbLocationTest, OfNothingIsRefusedWithWhatIsRight) {
  for (const char* text :
       {"", "usbip:", "usbip:1-1", "usbip:/1-1", "usbip:a:b/1-1", "usbip:a:0/1-1", "usbip:a:1/", "usbip:a:70000/1-1",
        "usbip:fd09::1:3240/1-1", "usbip:[fd09::1/1-1", "usbip:[a]b/1-1", "usbip:a:1/12345678901234567890123456789012",
        "emulated:", "emulated:/w0", "emulated:m/", "usb:0bda:8150"}) {
    const auto location = Location::parse(text);
    ASSERT_FALSE(location) << text;
    EXPECT_TRUE(location.error().starts_with("must be \"usbip:HOST:PORT/BUSID\"")) << text;
  }
}

}  // namespace
}  // namespace usernic::usb
