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

TEST(UsbLocationTest, OnThisMachineIsAKindOfDeviceOrWhereItIsPluggedIn) {
  const auto kind = Location::parse("usb:0bda:8150");
  ASSERT_TRUE(kind);
  EXPECT_EQ(kind->bus, Location::Bus::kUsb);
  EXPECT_EQ(kind->vendor, 0x0bda);
  EXPECT_EQ(kind->product, 0x8150);
  EXPECT_EQ(kind->place, "");
  EXPECT_EQ(Location::parse("usb:3-1.4.2")->place, "3-1.4.2");
}

TEST(UsbLocationTest, IsWrittenAsItIsRead) {
  for (const char* text :
       {"usb:0bda:8150", "usb:1-2.3", "usbip:nas:3240/1-1", "usbip:[fd09::1]:99/1-1", "emulated:rtl8150/w0"}) {
    EXPECT_EQ(Location::parse(text)->text(), text);
  }
}

TEST(UsbLocationTest, OfNothingIsRefusedWithWhatIsRight) {
  for (const char* text : {"",
                           "usbip:",
                           "usbip:1-1",
                           "usbip:/1-1",
                           "usbip:a:b/1-1",
                           "usbip:a:0/1-1",
                           "usbip:a:1/",
                           "usbip:a:70000/1-1",
                           "usbip:fd09::1:3240/1-1",
                           "usbip:[fd09::1/1-1",
                           "usbip:[a]b/1-1",
                           "usbip:a:1/12345678901234567890123456789012",
                           "emulated:",
                           "emulated:/w0",
                           "emulated:m/",
                           "usb",
                           "usb:",
                           "usb:0bda",
                           "usb:0bda:815",
                           "usb:0bda:8150/1",
                           "usb:1-",
                           "usb:-1",
                           "usb:1-2-3",
                           "usb:1.2",
                           "usb:01-2",
                           "usb:1-2.",
                           "usb:1-0",
                           "usb:1-256",
                           "usb:0bdg:8150"}) {
    const auto location = Location::parse(text);
    ASSERT_FALSE(location) << text;
    EXPECT_TRUE(location.error().starts_with("must be \"usb:VENDOR:PRODUCT\"")) << text;
  }
}

}  // namespace
}  // namespace usernic::usb
