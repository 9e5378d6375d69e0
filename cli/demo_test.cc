// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <gtest/gtest.h>

#include "cli/demo_groups.h"
#include "cli/demo_report.h"

namespace usernic::cli {
namespace {

// The shape that issue 2 fixes, key for key.
TEST(Demo, ReportIsExactlyTheDocumentedObject) {
  DemoReport report{.ping = {5, 4}, .burst = {10'000, 3, 0.25}, .overflow = {3000, 0}};
  report.joins.push_back({"IPv4 group", MacAddress::from_u64(0x01005e010203), 11'200});
  EXPECT_EQ(ctl::to_text(to_json(report)),
            R"({"ping":{"sent":5,"received":4},)"
            R"("joins":[{"what":"IPv4 group","address":"01:00:5e:01:02:03","wanted_to_programmed_us":11200}],)"
            R"("burst":{"changes":10000,"driver_calls":3,"change_p99_us":0.25},)"
            R"("overflow":{"frames_sent":3000,"frames_lost":0}})");
}

TEST(Demo, GroupsMapToTheirEthernetAddresses) {
  EXPECT_EQ(mac_of_group("224.0.0.1").to_string(), "01:00:5e:00:00:01");
  EXPECT_EQ(mac_of_group("239.129.2.3").to_string(), "01:00:5e:01:02:03");  // 23 bits
  EXPECT_EQ(mac_of_group("ff02::1").to_string(), "33:33:00:00:00:01");
  EXPECT_EQ(mac_of_group("ff15::feed:1").to_string(), "33:33:fe:ed:00:01");
}

}  // namespace
}  // namespace usernic::cli
