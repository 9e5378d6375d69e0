// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_list.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bus/usb/echo_model.h"
#include "bus/usb/emulated.h"
#include "bus/usb/usbip_server.h"
#include "daemon/drivers.h"
#include "daemon/usb_models.h"

namespace usernic::daemon {
namespace {

// What a server lists that exports this model, at its bus id 1-1.
UsbFound served(usb::Model& model) {
  usb::EmulatedPort port(model, "port");
  const auto server = *usb::UsbipServer::create(port, "1-1", "127.0.0.1", 0);
  const std::string place = fmt::format("127.0.0.1:{}", server->tcp_port());
  const UsbList list = list_usb({place});
  EXPECT_TRUE(list.unreached.empty());
  const auto found = std::ranges::find(list.devices, fmt::format("usbip:{}/1-1", place), &UsbFound::bus);
  return found != list.devices.end() ? *found : UsbFound{};
}

TEST(UsbListTest, EachModelIsTakenByItsDriverAlsoFromAServer) {
  struct Row {
    std::string_view model, id, speed, first_class, driver;
  };
  constexpr Row kRows[] = {{"rtl8150", "0bda:8150", "full", "00/00/00", "rtl8150"},
                           {"lan78xx", "0424:7800", "high", "ff/00/ff", "lan78xx"},
                           {"cdc-ecm", "1209:0010", "high", "02/06/00", "cdc"},
                           {"cdc-ncm", "1209:0011", "high", "02/0d/00", "cdc"},
                           {"cdc-rndis", "1209:0012", "high", "e0/01/03", "cdc"}};
  ASSERT_EQ(usb_models().size(), std::size(kRows));
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.model);
    const auto model = find_usb_model(row.model)->make(MacAddress::from_u64(0x0200'0000'0001));
    const UsbFound found = served(*model);
    EXPECT_EQ(found.id, row.id);
    EXPECT_EQ(found.speed, row.speed);
    EXPECT_EQ(found.classes.empty() ? "" : found.classes.front(), row.first_class);
    EXPECT_EQ(found.driver, row.driver);
    const auto here = list_usb({"127.0.0.1:1"}).devices;
    EXPECT_EQ(std::ranges::count(here, fmt::format("emulated:{}", row.model), &UsbFound::bus), 1);
  }
}

TEST(UsbListTest, WhatNobodyTakesIsListedWithoutADriver) {
  usb::EchoModel model;
  const UsbFound found = served(model);
  EXPECT_EQ(found.id, "1209:0001");
  EXPECT_EQ(found.classes, std::vector<std::string>{"ff/00/00"});
  EXPECT_EQ(found.driver, "");
}

TEST(UsbListTest, AServerThatDoesNotAnswerIsSaidIfItWasAskedFor) {
  const UsbList list = list_usb({"127.0.0.1:1", "a:b:c"});
  ASSERT_EQ(list.unreached.size(), 2u);
  EXPECT_EQ(list.unreached[0], "cannot list the USB devices at '127.0.0.1:1': no USB/IP server listens there");
  EXPECT_EQ(list.unreached[1], "a USB/IP server is HOST or HOST:PORT, like 127.0.0.1:3240, not 'a:b:c'");
}

// A device is recognised by its maker first: an adapter of ours may well have a standard class, too.
TEST(UsbDriverTest, TheMakerComesBeforeTheClass) {
  const usb::Identity both{.vendor = 0x0bda, .product = 0x8150, .interfaces = {{0x02, 0x06, 0x00}}};
  EXPECT_EQ(usb_driver_for(both), find_driver("rtl8150"));
  for (const usb::ClassCode code :
       {usb::ClassCode{0x02, 0x06, 0}, {0x02, 0x0d, 0}, {0xe0, 0x01, 0x03}, {0x02, 0x02, 0xff}, {0xef, 0x04, 0x01}}) {
    EXPECT_EQ(usb_driver_for({.interfaces = {{8, 6, 80}, code}}), find_driver("cdc"));
  }
  EXPECT_EQ(usb_driver_for({.interfaces = {{0x02, 0x02, 0x01}, {0x0a, 0, 0}}}), nullptr);
}

}  // namespace
}  // namespace usernic::daemon
