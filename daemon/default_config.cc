// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config.h"

namespace usernic::daemon {

std::string_view default_config() {
  return R"([[host]]
name = "a"
[[host]]
name = "b"

[[nic]]
name = "nic0"
host = "a"
driver = "simnic"
address = "02:00:00:00:00:01"
addresses = ["10.9.0.1/24", "fd09::1/64"]
[nic.simnic]
wire = "w0"
unicast_slots = 8
multicast_slots = 16
multicast_hash_bits = 64
command_latency_us = 10000

[[nic]]
name = "nic1"
host = "b"
driver = "simnic"
address = "02:00:00:00:00:02"
addresses = ["10.9.0.2/24", "fd09::2/64"]
[nic.simnic]
wire = "w0"
unicast_slots = 8
multicast_slots = 16
multicast_hash_bits = 64
command_latency_us = 10000
)";
}

}  // namespace usernic::daemon
