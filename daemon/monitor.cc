// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/monitor.h"

#include <utility>

#include "usernic/rx_mode.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kGone = "link-gone";

}  // namespace

bool link_changed(const ctl::Event& before, const ctl::Event& now) {
  if (before.what == kGone || now.what != before.what) return now.what != before.what;
  ctl::LinkRow row = *now.link;
  row.rx_packets = before.link->rx_packets, row.tx_packets = before.link->tx_packets;
  row.rx_dropped = before.link->rx_dropped, row.tx_dropped = before.link->tx_dropped;
  row.rx_filtered = before.link->rx_filtered, row.drops = before.link->drops;
  return row != *before.link;
}

void Monitor::watch(const ctl::Responder& to) {
  const uint64_t number = next_watcher_++;
  to.answer(ctl::Json(ctl::Json::Object{}));
  to.open_stream([this, number] { watchers_.erase(number); });
  if (watchers_.empty()) (void)notes_.take();  // of before
  tell_changes();                              // the others; what is told to this one is no news at the next look
  for (const auto& nic : topology_.nics()) {
    const Seen& now = seen_[nic->config().name];
    to.event(now.link);
    to.event(now.rx_mode);
  }
  watchers_.emplace(number, to);
  if (looking_) return;
  loop_.every(kPeriod, [this] { return look(); });
  looking_ = true;
}

Monitor::Seen Monitor::look_at(const Nic& nic) const {
  const bool gone = nic.port_status().whereabouts == Whereabouts::kGone;
  ctl::RxModeReport report = nic.rx_mode();
  return {.link = {.what = gone ? std::string(kGone) : "link", .link = nic.link()},
          .rx_mode = {.what = "rx-mode", .dev = report.dev, .generation = report.generation, .mode = report.mode}};
}

bool Monitor::look() {
  looking_ = !watchers_.empty();
  if (looking_) tell_changes();
  return looking_;
}

void Monitor::tell_changes() {
  for (const auto& nic : topology_.nics()) {
    const Seen now = look_at(*nic);
    Seen& before = seen_[nic->config().name];
    const bool changed = link_changed(before.link, now.link);
    for (const auto& [_, watcher] : watchers_) {
      if (changed) watcher.event(now.link);
      if (now.rx_mode != before.rx_mode) watcher.event(now.rx_mode);
    }
    before = now;
  }
  for (const ctl::Event& note : notes_.take()) {
    for (const auto& [_, watcher] : watchers_) watcher.event(note);
  }
}

}  // namespace usernic::daemon
