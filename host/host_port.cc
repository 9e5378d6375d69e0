// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/host_port.h"

#include <fmt/format.h>

#include <map>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "host/frame_pump.h"
#include "host/host_loop.h"
#include "host/interface_name.h"
#include "host/kernel_follower.h"
#include "host/kick.h"
#include "host/link_watch.h"
#include "host/tap.h"
#include "host/veth.h"
#include "usernic/net.h"
#include "usernic/notifier.h"
#include "usernic/refusal.h"

namespace usernic {

class HostPort::Impl {
 public:
  struct Kicks {
    Kick changed;             // the follower's
    std::vector<Kick> woken;  // the pump's
  };
  Impl(HostLoop& loop, NetDevice& dev, HostPortConfig config, std::unique_ptr<KernelEnd> end, Kicks kicks)
      : config_(std::move(config)),
        loop_(loop),
        handle_(dev),
        dev_(dev),
        end_(std::move(end)),
        name_(*end_),
        changed_(std::move(kicks.changed)),
        pump_(dev, *end_, loop.readers(), changed_, std::move(kicks.woken), config_.log),
        follower_(dev, config_, loop, *end_, name_, changed_) {}
  ~Impl() { close(); }
  HostResult<> start(const NetNamespace& netns, LinkWatch& made);
  void leave();   // the first half of its end: nothing moves any more
  void finish();  // the second: the interface goes
  void close() {
    leave();
    finish();
  }

  TurnLoop& loop() noexcept { return loop_.turns(); }
  InterfaceName& name() noexcept { return name_; }
  const KernelEnd& end() const noexcept { return *end_; }
  const FramePump& pump() const noexcept { return pump_; }
  KernelFollower& follower() noexcept { return follower_; }

 private:
  Result<> on_netdev_event();

  const HostPortConfig config_;
  HostLoop& loop_;
  const DeviceHandle handle_;  // the memory, whatever becomes of the device
  NetDevice& dev_;
  const std::unique_ptr<KernelEnd> end_;
  InterfaceName name_;
  Kick changed_;
  FramePump pump_;
  KernelFollower follower_;
  std::optional<Notifier> notifier_;
  bool left_ = false;
  bool finished_ = false;
};

HostResult<> HostPort::Impl::start(const NetNamespace& netns, LinkWatch& made) {
  if (const HostResult<> started = pump_.start(); !started) {
    return host_fail(started.error().error,
                     fmt::format("{} cannot be shown: {}", dev_.name(), started.error().sentence));
  }
  HostResult<> joined;
  loop_.turns().run([&] { joined = follower_.join(netns, made); });
  if (!joined) return joined;
  notifier_.emplace(dev_, [this](NetdevEvent, NetDevice&) { return on_netdev_event(); });
  return {};
}

void HostPort::Impl::leave() {
  if (std::exchange(left_, true)) return;
  loop_.turns().run([this] { follower_.leave(); });
  notifier_.reset();
  pump_.stop();
  follower_.undo();
}

void HostPort::Impl::finish() {
  if (std::exchange(finished_, true)) return;
  loop_.turns().run([this] {
    try {
      follower_.finish();
    } catch (const std::bad_alloc&) {  // it keeps what it got
    }
  });
  name_.close();
}

// Under rtnl: only looks, and wakes those who act.
Result<> HostPort::Impl::on_netdev_event() {
  changed_.kick();
  pump_.look_again();
  return {};
}

namespace {

// Is it /dev/net/tun that cannot be had [Tap::create]?
bool lacks_tun(std::errc error) {
  return error == std::errc::permission_denied || error == std::errc::no_such_file_or_directory ||
         error == std::errc::no_such_device || error == std::errc::no_such_device_or_address;
}

HostResult<std::unique_ptr<KernelEnd>> make_end(const NetNamespace& netns, const HostPortConfig& config,
                                                uint16_t queues) {
  if (config.kind == PortKind::kVeth) return Veth::create(netns, config.name);
  auto tap = Tap::create(netns, config.name, queues);
  if (tap) return std::make_unique<Tap>(*std::move(tap));
  if (config.kind == PortKind::kTap || !lacks_tun(tap.error().error)) return std::unexpected(tap.error());
  auto veth = Veth::create(netns, config.name);
  if (!veth) {
    return host_fail(tap.error().error,
                     fmt::format("{}; nor can it be a veth: {}", tap.error().sentence, veth.error().sentence));
  }
  config.log(fmt::format("{}: it is a veth, as no TAP can be had: {}", config.name, tap.error().sentence));
  return veth;
}

}  // namespace

HostPort::HostPort(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
HostPort::~HostPort() = default;

HostResult<std::unique_ptr<HostPort>> HostPort::create(HostLoop& loop, NetDevice& dev, const NetNamespace& netns,
                                                       HostPortConfig config) {
  HostResult<Kick> changed = make_kick();
  if (!changed) return std::unexpected(changed.error());
  const uint16_t queues = dev.tx_queue_count();
  std::vector<Kick> woken;
  while (woken.size() < queues) {
    HostResult<Kick> each = make_kick();
    if (!each) return std::unexpected(each.error());
    woken.push_back(*std::move(each));
  }
  HostResult<LinkWatch> made = LinkWatch::begin(netns);
  if (!made) return std::unexpected(made.error());
  auto end = make_end(netns, config, queues);
  if (!end) return std::unexpected(end.error());
  while (woken.size() > (*end)->queue_count()) woken.pop_back();
  auto impl = std::make_unique<Impl>(loop, dev, std::move(config), *std::move(end),
                                     Impl::Kicks{std::move(*changed), std::move(woken)});
  if (HostResult<> started = impl->start(netns, *made); !started) return std::unexpected(started.error());
  return std::unique_ptr<HostPort>(new HostPort(std::move(impl)));
}

void HostPort::close() {
  impl_->close();
}

void HostPort::close_all(std::span<const std::shared_ptr<HostPort>> ports) {
  for (const auto& port : ports) port->impl_->leave();
  if (ports.size() > 1) {
    ports.front()->impl_->loop().run([&] {
      std::map<uint64_t, std::pair<NetnsWatch*, std::vector<int>>> interfaces;  // by namespace
      for (const auto& port : ports) {
        const KernelFollower& follower = port->impl_->follower();
        if (NetnsWatch* const watch = follower.deletable_in()) {
          auto& [there, ifindexes] = interfaces[watch->netns()];
          there = watch;
          ifindexes.push_back(follower.counters().ifindex.load());
        }
      }
      // What stays goes with its end.
      for (const auto& [_, some] : interfaces) (void)some.first->rtnetlink().del_links(some.second);
    });
  }
  for (const auto& port : ports) port->impl_->finish();
}

std::string HostPort::name_now() const {
  return impl_->name().now();
}
int HostPort::ifindex() const noexcept {
  return impl_->follower().counters().ifindex.load();
}

Result<> HostPort::wait_known(Time as_of, Time deadline) {
  return impl_->follower().look().wait(as_of, deadline);
}

namespace {

// The best of its queues': most have no batch that is worth a ring.
std::string io_of(const FramePump& pump) {
  std::string how = pump.queues().front().queue().io();
  for (const QueuePump& each : pump.queues()) {
    if (const std::string other = each.queue().io(); how == "calls" || other == "io_uring") how = other;
  }
  return how;
}

}  // namespace

HostPortStatus HostPort::status() const {
  const KernelFollower::Counters& counters = impl_->follower().counters();
  HostPortStatus status;
  status.joins_are_announced = counters.joins_are_announced.load();
  status.interface = impl_->name().last();
  status.whereabouts = counters.whereabouts.load();
  status.netns = counters.netns.load();
  status.pictures = counters.pictures.load();
  status.pictures_failed = counters.pictures_failed.load();
  status.events = counters.events.load();
  status.last_picture_us = counters.last_picture_us.load();
  status.receive_dropped = impl_->pump().receive_dropped();
  status.oversized = impl_->pump().oversized();
  status.overrun = impl_->pump().overrun();
  status.kind = impl_->end().kind();
  status.io = io_of(impl_->pump());
  status.refused = impl_->follower().refused();
  return status;
}

}  // namespace usernic
