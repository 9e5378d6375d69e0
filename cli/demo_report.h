// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: what the demo measured. `usernic demo --json` prints it as one object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/json.h"
#include "usernic/mac_address.h"

namespace usernic::cli {

struct DemoReport {
  struct Ping {
    uint64_t sent = 0, received = 0;
  } ping;
  // From the moment before the kernel is asked until the card accepts the address.
  struct Join {
    std::string what;
    MacAddress address;
    uint64_t wanted_to_programmed_us = 0;
  };
  std::vector<Join> joins;
  struct Burst {
    uint64_t changes = 0, driver_calls = 0;
    double change_p99_us = 0;
  } burst;
  struct Overflow {
    uint64_t frames_sent = 0, frames_lost = 0;
  } overflow;
};

ctl::Json to_json(const DemoReport& report);

}  // namespace usernic::cli
// Explained best by: cli/demo_test.cc
