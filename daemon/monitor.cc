// SPDX-License-Identifier: Apache-2.0
#include "daemon/monitor.h"

#include <utility>

namespace usernic::daemon {
namespace {

ctl::Event link_event(const ctl::LinkRow& row) {
  return {.what = "link", .link = row};
}

}  // namespace

void Monitor::follow(const ctl::Responder& to) {
  const uint64_t number = next_follower_++;
  to.answer(ctl::Json(ctl::Json::Object{}));
  to.follow([this, number] { followers_.erase(number); });
  for (const auto& nic : topology_.nics()) {
    const Seen now = look_at(*nic);
    to.event(link_event(now.link));
    to.event(now.rx_mode);
    if (followers_.empty()) seen_[now.link.name] = now;
  }
  followers_.emplace(number, to);
  if (!std::exchange(looking_, true)) loop_.at(Clock::now() + kPeriod, [this] { look(); });
}

Monitor::Seen Monitor::look_at(const Nic& nic) const {
  Seen seen{.link = nic.link(), .rx_mode = {}};
  // Frames that come and go are no change of a link.
  seen.link.rx_packets = seen.link.tx_packets = seen.link.rx_dropped = seen.link.tx_dropped = 0;
  ctl::RxModeReport report = nic.rx_mode();
  seen.rx_mode = {.what = "rx-mode", .dev = report.dev, .generation = report.generation, .mode = report.mode};
  return seen;
}

void Monitor::look() {
  if (followers_.empty()) {
    looking_ = false;
    return;
  }
  for (const auto& nic : topology_.nics()) {
    const Seen now = look_at(*nic);
    Seen& before = seen_[now.link.name];
    for (const auto& [_, follower] : followers_) {
      if (now.link != before.link) follower.event(link_event(now.link));
      if (now.rx_mode != before.rx_mode) follower.event(now.rx_mode);
    }
    before = now;
  }
  loop_.at(Clock::now() + kPeriod, [this] { look(); });
}

}  // namespace usernic::daemon
