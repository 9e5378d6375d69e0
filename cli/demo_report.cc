// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo_report.h"

#include <utility>

namespace usernic::cli {

ctl::Json to_json(const DemoReport& report) {
  using Object = ctl::Json::Object;
  ctl::Json::Array joins;
  for (const DemoReport::Join& join : report.joins) {
    joins.push_back(Object{{"what", join.what},
                           {"address", join.address.to_string()},
                           {"wanted_to_programmed_us", join.wanted_to_programmed_us}});
  }
  return Object{
      {"ping", Object{{"sent", report.ping.sent}, {"received", report.ping.received}}},
      {"joins", std::move(joins)},
      {"burst", Object{{"changes", report.burst.changes},
                       {"driver_calls", report.burst.driver_calls},
                       {"change_p99_us", report.burst.change_p99_us}}},
      {"overflow", Object{{"frames_sent", report.overflow.frames_sent}, {"frames_lost", report.overflow.frames_lost}}}};
}

}  // namespace usernic::cli
