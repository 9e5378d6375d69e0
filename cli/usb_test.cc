// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/usb.h"

#include <gtest/gtest.h>

namespace usernic::cli {
namespace {

const std::vector<UsbRow> kRows = {{"usbip:127.0.0.1:3240/1-1", "0bda:8150", "full", {"00/00/00"}, "rtl8150"},
                                   {"usbip:127.0.0.1:3240/1-2", "1209:0001", "high", {"ff/00/00", "ff/00/00"}, ""}};

TEST(UsbShowTest, IsATableOfWhatAConfigSays) {
  EXPECT_EQ(show_usb(kRows),
            "BUS                       ID         SPEED  DRIVER   INTERFACES\n"
            "usbip:127.0.0.1:3240/1-1  0bda:8150  full   rtl8150  00/00/00\n"
            "usbip:127.0.0.1:3240/1-2  1209:0001  high   -        ff/00/00 ff/00/00\n");
}

TEST(UsbShowTest, IsOneObjectForPrograms) {
  EXPECT_EQ(ctl::to_text(to_json({kRows.back()})),
            R"({"devices":[{"bus":"usbip:127.0.0.1:3240/1-2","id":"1209:0001","speed":"high",)"
            R"("interfaces":["ff/00/00","ff/00/00"],"driver":null}]})");
}

}  // namespace
}  // namespace usernic::cli
