// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <fmt/format.h>

#include <array>

#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/simnic/simnic.h"

namespace usernic::daemon {
namespace {

constexpr auto kSimnicKeys = std::to_array<std::string_view>(
    {"wire", "unicast_slots", "multicast_slots", "shared_slots", "unicast_hash_bits", "multicast_hash_bits",
     "vlan_slots", "promisc", "allmulti", "command_latency_us", "rx_queues", "tx_queues", "rx_descriptors",
     "tx_descriptors", "flow_control", "byte_limits", "checksum", "tso"});

void read_simnic(Section& section, NicConfig& nic) {
  SimnicConfig card;
  section.text("wire", card.wire, "w0");
  section.number("unicast_slots", card.unicast_slots, 0, kSimnicSlotsMax);
  section.number("multicast_slots", card.multicast_slots, 0, kSimnicSlotsMax);
  section.flag("shared_slots", card.shared_slots);
  section.number("unicast_hash_bits", card.unicast_hash_bits, 0, kSimnicHashBitsMax);
  section.number("multicast_hash_bits", card.multicast_hash_bits, 0, kSimnicHashBitsMax);
  section.number("vlan_slots", card.vlan_slots, 0, kSimnicVlansMax);
  section.flag("promisc", card.promisc);
  section.flag("allmulti", card.allmulti);
  section.number("command_latency_us", card.command_latency_us, 0, kSimnicLatencyUsMax);
  section.number("rx_queues", card.rx_queues, 1, kSimnicQueuesMax);
  section.number("tx_queues", card.tx_queues, 1, kSimnicQueuesMax);
  section.number("rx_descriptors", card.rx_descriptors, 1, kSimnicDescriptorsMax);
  section.number("tx_descriptors", card.tx_descriptors, 1, kSimnicDescriptorsMax);
  section.flag("flow_control", card.flow_control);
  section.flag("byte_limits", card.byte_limits);
  section.flag("checksum", card.checksum);
  section.flag("tso", card.tso);
  // What is wrong with a card as a whole names its field first.
  const std::string sentence = config_error(card);
  if (!sentence.empty()) {
    section.bad_at(std::string_view(sentence).substr(0, sentence.find(' ')), "in [nic.simnic], " + sentence);
  }
  nic.section = std::move(card);
}

Result<NetdevPtr> probe_simnic(const ProbeSite& site, const NetdevConfig& config) {
  const SimnicConfig card = site.nic.section_as<SimnicConfig>();
  const MacAddress permanent = config.address.is_zero() ? MacAddress::generate() : config.address;
  return Simnic::probe(site.net, config, std::make_shared<simnic::Card>(card, permanent, site.wires.wire(card.wire)));
}

}  // namespace

extern const Driver kSimnicDriver;
const Driver kSimnicDriver{
    .name = "simnic",
    .help = "a card of software, on a wire with others",
    .mtu_max = kMtuMax,
    .keys = kSimnicKeys,
    .read = read_simnic,
    .filters_vlans = [](const NicConfig& nic) { return nic.section_as<SimnicConfig>().vlan_slots > 0; },
    .probe = probe_simnic,
};

}  // namespace usernic::daemon
