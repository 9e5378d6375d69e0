// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/rx_mode_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <vector>

namespace usernic {
namespace {

constexpr size_t kNamedMax = 8;

std::string text_of(const MacAddress& address) {
  return address.to_string();
}
std::string text_of(uint16_t vlan) {
  return std::to_string(vlan);
}

// What is in `now` and not in `before`, both sorted.
template <class Each>
std::string added(const std::vector<Each>& before, const std::vector<Each>& now, std::string_view what) {
  std::vector<Each> more;
  std::ranges::set_difference(now, before, std::back_inserter(more));
  if (more.empty()) return "";
  std::string text = fmt::format("; {} {}:", more.size(), what);
  for (const Each& each : std::span(more).first(std::min(more.size(), kNamedMax))) text += ' ' + text_of(each);
  return more.size() <= kNamedMax ? text : text + " ...";
}

template <class Each>
std::string difference(const std::vector<Each>& before, const std::vector<Each>& now, std::string_view what) {
  return added(before, now, fmt::format("more {}", what)) + added(now, before, fmt::format("fewer {}", what));
}

}  // namespace

std::string rx_mode_text(const RxModeStatus& before, const RxModeStatus& now) {
  const auto mode = [](const RxModeStatus& of) {
    std::string text =
        fmt::format("unicast {}, multicast {}", filter_mode_name(of.unicast_mode), filter_mode_name(of.multicast_mode));
    if (of.programmed_promisc) text += ", promisc";
    if (of.programmed_allmulti) text += ", allmulti";
    return of.reason.empty() ? text : fmt::format("{} ({})", text, of.reason);
  };
  const std::string is = mode(now);
  const std::string entries =
      difference(before.programmed_unicast, now.programmed_unicast, "unicast on the card") +
      difference(before.programmed_multicast, now.programmed_multicast, "multicast on the card") +
      difference(before.programmed_vlans, now.programmed_vlans, "VLANs on the card");
  if (entries.empty() && is == mode(before) && now.generation_programmed == before.generation_programmed) return "";
  return fmt::format("rx mode: {}{}; generation {}", is, entries, now.generation_programmed);
}

}  // namespace usernic
