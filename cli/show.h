// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the daemon's reports as text for people. (For programs they are printed as the JSON they came as.)
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.h"
#include "ctl/messages.h"

namespace usernic::cli {

// `details`: a second line for each.
std::string show_links(const std::vector<ctl::LinkRow>& rows, bool details = false);
std::string show_rx_mode(const ctl::RxModeReport& report);
std::string show_stats(const ctl::StatsReport& report);
std::string show_ethtool(const ctl::EthtoolReport& report, const EthtoolLine& parts);
// One line, with its newline.
std::string show_event(const ctl::Event& event);
// "850 us", "12.3 ms", "1.20 s".
std::string show_time(uint64_t us);

}  // namespace usernic::cli
// Explained best by: cli/show_test.cc
