// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config.h"
#include "daemon/drivers.h"
#include "drivers/dummy/dummy.h"

namespace usernic::daemon {

extern const Driver kDummyDriver;
const Driver kDummyDriver{
    .name = "dummy",
    .help = "drops what it is given",
    .mtu_max = kMtuMax,
    .probe = [](const ProbeSite& site, const NetdevConfig& config) { return Dummy::probe(site.net, config); },
};

}  // namespace usernic::daemon
