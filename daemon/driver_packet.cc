// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config.h"
#include "daemon/drivers.h"
#include "drivers/packet/packet.h"

namespace usernic::daemon {
namespace {

Result<NetdevPtr> probe(const ProbeSite& site, const NetdevConfig& config) {
  NetdevConfig wanted = config;
  if (!site.nic.mtu_given) wanted.mtu = 0;  // the interface's
  return PacketNic::probe(site.net, wanted, site.nic.card_interface);
}

}  // namespace

extern const Driver kPacketDriver;
const Driver kPacketDriver{
    .name = "packet",
    .help = "an interface that the machine has already",
    .mtu_max = PacketNic::kMtuMax,
    .on_interface = true,
    .probe = probe,
};

}  // namespace usernic::daemon
