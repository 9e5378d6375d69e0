// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bus/netif/interface.h"
#include "daemon/config.h"
#include "daemon/drivers.h"
#include "drivers/packet/packet.h"
#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

Result<NetdevPtr> probe_packet(const ProbeSite& site, const NetdevConfig& config) {
  NetdevConfig wanted = config;
  if (!site.nic.mtu_given) wanted.mtu = 0;  // the interface's
  return PacketNic::probe(site.net, wanted, site.nic.card_interface);
}

std::string why_no_card(const std::string& interface, std::errc error) {
  switch (error) {
    case std::errc::no_such_device: {
      const std::vector<std::string> names = Interface::names();
      const bool alone = names.size() == 1 && names.front() == "lo";
      return fmt::format("there is no interface {}; there {} {}{}", interface, names.size() == 1 ? "is" : "are",
                         fmt::join(names, ", "),
                         alone ? "; usernic of an ordinary user has a network namespace of its own: start it as root, "
                                 "or by `unshare -rn` where the interface is"
                               : "");
    }
    case std::errc::not_supported:
      return fmt::format("{} has no Ethernet frames, so it is no card", interface);
    case std::errc::operation_not_permitted:
    case std::errc::permission_denied:
      return fmt::format(
          "{} cannot be used as a card: that needs CAP_NET_RAW, and an MTU larger than its own "
          "CAP_NET_ADMIN; root has both",
          interface);
    default:
      return fmt::format("{} cannot be used as a card: {}", interface, refusal(error));
  }
}

// Which MTU an interface has that refuses another.
std::string why_no_mtu(const std::string& interface, uint32_t mtu) {
  const Result<Interface> found = Interface::find(interface);
  const auto state = found ? found->state() : fail(found.error());
  return fmt::format("{} does not take the MTU {}{}", interface, mtu,
                     state ? fmt::format(" (it has {})", state->mtu) : "");
}

std::string why_not(const NicConfig& nic, std::errc error) {
  const bool is_mtu = error == std::errc::invalid_argument && nic.mtu_given;
  return is_mtu ? why_no_mtu(nic.card_interface, nic.mtu) : why_no_card(nic.card_interface, error);
}

}  // namespace

extern const Driver kPacketDriver;
const Driver kPacketDriver{
    .name = "packet",
    .help = "an interface that the machine has already",
    .mtu_max = PacketNic::kMtuMax,
    .on_interface = true,
    .probe = probe_packet,
    .why_not = why_not,
};

}  // namespace usernic::daemon
