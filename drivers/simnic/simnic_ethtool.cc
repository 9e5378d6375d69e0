// SPDX-License-Identifier: Apache-2.0 OR MIT
// What the driver says of itself and its card [include/usernic/ethtool.h].
#include <fmt/format.h>

#include "drivers/simnic/simnic.h"
#include "usernic/ethtool.h"

namespace usernic {

using simnic::Reg;

Result<> Simnic::get_drvinfo(DriverInfo& info) {
  info.version = "1";
  info.bus = "wire:" + card_->capabilities().wire;
  return {};
}

Result<> Simnic::get_link_settings(LinkSettings& link) {
  link = {.speed_mbps = 0, .duplex = Duplex::kFull, .autoneg = false, .port = "wire"};
  return {};
}

Result<> Simnic::get_ringparam(RingParam& rings) {
  rings = {.rx = card_->capabilities().rx_descriptors,
           .tx = card_->capabilities().tx_descriptors,
           .rx_max = kSimnicDescriptorsMax,
           .tx_max = kSimnicDescriptorsMax};
  return {};
}

Result<> Simnic::get_ethtool_stats(std::vector<NamedCounter>& counters) {
  const simnic::CardCounters& card = card_->counters();
  counters = {{"rx_frames", card.rx_frames.load()},
              {"rx_filtered", card.rx_filtered.load()},
              {"rx_no_descriptor", card.rx_no_descriptor.load()},
              {"rx_runt", card.rx_runt.load()},
              {"rx_too_long", card.rx_too_long.load()},
              {"rx_off", card.rx_off.load()},
              {"rx_superframes", card.rx_superframes.load()},
              {"rx_pause", card.rx_pause.load()},
              {"tx_frames", card.tx_frames.load()},
              {"tx_too_long", card.tx_too_long.load()},
              {"tx_no_link", card.tx_no_link.load()},
              {"tx_bad", card.tx_bad.load()},
              {"tx_superframes", card.tx_superframes.load()},
              {"tx_pause", card.tx_pause.load()},
              {"tx_doorbells", card.tx_doorbells.load()},
              {"data_interrupts", card.data_interrupts.load()},
              {"commands", card.commands.load()}};
  const SimnicConfig& has = card_->capabilities();
  const auto of_each = [&](const char* way, uint32_t queues, const auto& frames) {
    for (uint32_t i = 0; queues > 1 && i < queues; ++i) {
      counters.push_back({fmt::format("{}_queue_{}_frames", way, i), frames[i].load()});
    }
  };
  of_each("rx", has.rx_queues, card.rx_frames_of);
  of_each("tx", has.tx_queues, card.tx_frames_of);
  return {};
}

// Those that reading does not change.
Result<> Simnic::get_regs(std::vector<RegisterValue>& registers) {
  const auto read = [&](const char* name, Reg reg) {
    registers.push_back({name, static_cast<uint32_t>(reg), card_->read(reg)});
  };
  read("status", Reg::kStatus);
  read("control", Reg::kControl);
  read("own-address", Reg::kOwnAddress);
  read("permanent", Reg::kPermanent);
  read("frame-max", Reg::kFrameMax);
  read("super-buffer", Reg::kSuperBuffer);
  return {};
}

}  // namespace usernic
