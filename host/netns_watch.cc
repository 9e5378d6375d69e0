// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netns_watch.h"

#include <algorithm>
#include <new>

namespace usernic {

namespace {

// A picture costs about as much as so many messages of a dump.
constexpr size_t kMessagesPerPicture = 200;
// How often a dump is tried again where it had too much of others.
constexpr uint64_t kDumpAgain = 64;

}  // namespace

HostResult<std::shared_ptr<NetnsWatch>> NetnsWatch::open(HostLoop& loop, const NetNamespace& netns, Duration audit) {
  HostResult<Rtnetlink> rtnetlink = Rtnetlink::open(netns);
  if (!rtnetlink) return std::unexpected(rtnetlink.error());
  HostResult<EventSocket> events = EventSocket::open(netns);
  if (!events) return std::unexpected(events.error());
  HostResult<PictureSockets> pictures = PictureSockets::open(netns);
  if (!pictures) return std::unexpected(pictures.error());
  HostResult<NetnsAudit> audits = NetnsAudit::open(netns);
  if (!audits) return std::unexpected(audits.error());
  std::shared_ptr<NetnsWatch> watch(new NetnsWatch(loop, netns.id(), audit, *std::move(rtnetlink), *std::move(events),
                                                   *std::move(pictures), *std::move(audits)));
  if (HostResult<> added = loop.turns().add(*watch, watch->events_.fd()); !added) return std::unexpected(added.error());
  return watch;
}

NetnsWatch::NetnsWatch(HostLoop& loop, uint64_t netns, Duration audit, Rtnetlink rtnetlink, EventSocket events,
                       PictureSockets pictures, NetnsAudit audit_sockets) noexcept
    : loop_(loop),
      netns_(netns),
      audit_min_(audit),
      rtnetlink_(std::move(rtnetlink)),
      events_(std::move(events)),
      pictures_(std::move(pictures)),
      audit_(std::move(audit_sockets)),
      next_audit_(Clock::now() + audit) {}

NetnsWatch::~NetnsWatch() {
  loop_.turns().remove(*this);
}

void NetnsWatch::join(int ifindex, Port& port) {
  ports_.insert_or_assign(ifindex, &port);
}

void NetnsWatch::leave(int ifindex, Port& port) noexcept {
  const auto found = ports_.find(ifindex);
  if (found != ports_.end() && found->second == &port) ports_.erase(found);
}

Time NetnsWatch::turn() noexcept {
  bool more = false;
  try {
    more = hear();
    if (Clock::now() >= next_audit_) audit();
  } catch (const std::bad_alloc&) {  // what was heard is lost, so anything may have changed
    look_at_each();
    next_audit_ = Clock::now() + std::min(audit_min_, kAuditMax);
  }
  return more ? Time::min() : next_audit_;
}

// Returns true while there may be more.
bool NetnsWatch::hear() {
  heard_.clear();
  const bool more = events_.read(heard_, [this](int ifindex) { return ports_.contains(ifindex); });
  for (const auto& [ifindex, event] : heard_) {
    if (event.kind == HostEvent::Kind::kEventsLost) {
      for (const auto& [_, port] : ports_) port->on_event(event);
    } else if (const auto found = ports_.find(ifindex); found != ports_.end()) {
      found->second->on_event(event);
    }
  }
  return more;
}

void NetnsWatch::audit() {
  ++audits_;
  const bool dump = ports_.size() > 1 && (foreign_ <= kMessagesPerPicture * ports_.size() || audits_ % kDumpAgain == 0);
  const Cost cost = dump ? look_where_something_is_new() : look_at_each();
  Duration pause = std::max(audit_min_, std::min(kCostFactor * cost.time, kAuditMax));
  if (cost.addresses > kManyAddresses) pause = std::max(pause, kManyCostFactor * cost.time);
  next_audit_ = Clock::now() + pause;
}

NetnsWatch::Cost NetnsWatch::look_at_each() noexcept {
  Cost cost;
  for (const auto& [_, port] : ports_) cost += port->look_soon();
  return cost;
}

NetnsWatch::Cost NetnsWatch::look_where_something_is_new() {
  const Time begun = Clock::now();
  const bool seen = audit_.read([this](int ifindex) { return ports_.contains(ifindex); }).has_value();
  if (seen) foreign_ = audit_.foreign();
  Cost cost{.addresses = audit_.address_count()};
  for (const auto& [ifindex, port] : ports_) {
    const InterfaceView* view = seen ? audit_.view(ifindex) : nullptr;
    if (view == nullptr || port->is_news(*view)) cost.time += port->look_soon().time;
  }
  cost.time += Clock::now() - begun;
  return cost;
}

}  // namespace usernic
