// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/host_port.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <new>
#include <optional>
#include <type_traits>

#include "host/device_wishes.h"
#include "host/event_socket.h"
#include "host/follow.h"
#include "host/frame_pump.h"
#include "host/fresh_look.h"
#include "host/kick.h"
#include "host/link_watch.h"
#include "host/mirror.h"
#include "host/picture_reader.h"
#include "host/rtnetlink.h"
#include "host/tap.h"
#include "usernic/net.h"
#include "usernic/notifier.h"
#include "usernic/refusal.h"

namespace usernic {

class HostPort::Impl {
 public:
  struct Kicks {
    Kick changed;  // the mirror thread's
    Kick woken;    // the pump's
  };
  // What the mirror thread needs to meet the kernel.
  struct Sockets {
    int ifindex;
    Rtnetlink rtnetlink;
    EventSocket events;
    PictureReader pictures;
  };

  Impl(NetDevice& dev, HostPortConfig config, Tap tap, uint64_t home, Kicks kicks, Sockets sockets);
  ~Impl();
  HostResult<> start(LinkWatch& watch);
  void close();

  static HostResult<Sockets> open_sockets(const NetNamespace& netns, const std::string& interface);

  const HostPortConfig config_;
  const uint64_t home_;

  // Written by the mirror thread, read by anybody.
  Atomic<uint64_t> pictures_{0}, pictures_failed_{0}, events_count_{0}, last_picture_us_{0};
  Atomic<int> ifindex_;
  Atomic<Whereabouts> whereabouts_{Whereabouts::kHome};
  Atomic<uint64_t> netns_;
  Atomic<bool> joins_are_announced_;
  std::string name() const;
  std::string name_now();
  const FramePump& pump() const noexcept { return pump_; }
  FreshLook& look() noexcept { return look_; }
  std::optional<RefusedWish> refused() const { return wishes_.refused(); }

 private:
  Result<> on_netdev_event(NetdevEvent event, NetDevice& dev);
  void mirror_loop();
  bool follow_kernel(bool more_events);
  void wait(bool more_events);
  Time next_picture() const { return look_again_ == kForever ? mirror_.next_picture() : kForever; }
  void take_picture();
  void note_name();
  void look_for_interface();
  void move_to(const NetNamespace& netns, Sockets sockets);
  void out_of_reach(const std::string& why);
  void set_whereabouts(Whereabouts whereabouts, const std::string& what);
  HostResult<> as_the_device(LinkWatch& watch);
  void as_it_was_found();
  void carry_out(const HostWishes& wishes);
  void change_lists(const HostWishes& wishes);
  void follow(const HostLink& link);
  template <class T, class TellDevice, class TellKernel>
  void follow_one(Followed<T>& followed, bool answered, const std::optional<std::type_identity_t<T>>& kernel,
                  const T& device, TellDevice tell_device, TellKernel tell_kernel);
  void follow_carrier(std::optional<bool> kernel);

  const DeviceHandle handle_;  // the memory, whatever becomes of the device
  NetDevice& dev_;
  Tap tap_;
  Kick changed_;
  FreshLook look_;
  FramePump pump_;
  DeviceWishes wishes_;
  Sockets sockets_;
  Atomic<bool> stopping_{false};
  bool closed_ = false;

  static constexpr LockClass kNameClass{"host_port_name"};
  mutable Mutex name_lock_{kNameClass};
  std::string name_ USERNIC_GUARDED_BY(name_lock_);
  bool tap_closed_ USERNIC_GUARDED_BY(name_lock_) = false;

  // How a persistent TAP was found, and what we have added to it.
  std::optional<HostLink> found_;
  std::vector<std::string> added_;

  // The mirror thread's alone.
  Mirror mirror_;
  std::vector<HostEvent> events_;
  Followed<bool> up_;
  Followed<uint32_t> mtu_;
  Followed<MacAddress> address_;
  Followed<bool> carrier_{false};
  bool lost_ = false;           // the interface is not where it was
  Time look_again_ = kForever;  // for one that is out of reach
  bool link_is_fresh_ = false;  // the mirror's LINK is younger than what we told the kernel last
  bool promiscuous_ = false;
  bool allmulti_ = false;

  std::optional<Notifier> notifier_;
  Thread thread_;
};

namespace {

constexpr Duration kLookAgain = std::chrono::seconds(1);
constexpr Duration kMemoryWait = std::chrono::milliseconds(10);

std::string why_not_attached(std::errc error) {
  if (error == std::errc::no_such_device) return "it is not registered";
  if (error == std::errc::device_or_resource_busy) return "something sits on it already";
  return "no thread for its frames: " + thread_refusal(error);
}

// A wish may fail only because the device is gone, and then nothing is lost.
template <class Set>
void hold_reference(bool wanted, bool& held, Set set) {
  if (wanted == held) return;
  if (set(wanted ? 1 : -1)) held = wanted;
}

// The kernel is told once, so there has to be memory for it some time.
template <class Tell, class T>
HostResult<> with_memory(Tell& tell, const T& value) {
  for (int tries_left = 100;; --tries_left) {
    try {
      return tell(value);
    } catch (const std::bad_alloc&) {
      if (tries_left == 0) throw;
    }
    const Atomic<uint32_t> never{0};
    wait_on(never, 0, Clock::now() + kMemoryWait);
  }
}

}  // namespace

HostPort::Impl::Impl(NetDevice& dev, HostPortConfig config, Tap tap, uint64_t home, Kicks kicks, Sockets sockets)
    : config_(std::move(config)),
      home_(home),
      ifindex_(sockets.ifindex),
      netns_(home),
      joins_are_announced_(sockets.events.joins_are_announced()),
      handle_(dev),
      dev_(dev),
      tap_(std::move(tap)),
      changed_(std::move(kicks.changed)),
      look_(changed_),
      pump_(dev, tap_, changed_, std::move(kicks.woken)),
      wishes_(dev, changed_, config_.log),
      sockets_(std::move(sockets)),
      name_(tap_.name()),
      mirror_(config_.audit),
      up_(dev.running()),
      mtu_(dev.mtu()),
      address_(dev.address()) {}

// The TAP starts as the device is; what changes from here on is followed.
HostResult<> HostPort::Impl::as_the_device(LinkWatch& watch) {
  Rtnetlink& tap = sockets_.rtnetlink;
  const int ifindex = ifindex_.load();
  const HostResult<HostLink> link = tap.link(ifindex);
  if (!link) return std::unexpected(link.error());
  if (tap_.persistent()) found_ = *link;
  // What somebody gave it meanwhile is a wish, as udev's policies: it is followed.
  const std::vector<HostLink>& announced = watch.announced(ifindex);
  const HostLink first = tap_.persistent() || announced.empty() ? *link : announced.front();
  const auto take_over = [&]<class T>(T HostLink::*value, const T& ours, auto set) -> HostResult<> {
    const auto given = [&] { return watch.given(ifindex, value, first.*value, ours); };
    if ((*link).*value == ours || given()) return {};
    if (const HostResult<> done = set(ours); !done) return done;
    const std::optional<T> written_over = given();
    return written_over ? set(*written_over) : HostResult<>();
  };
  const auto set_address = [&](const MacAddress& address) { return tap.set_address(ifindex, address); };
  if (auto done = take_over(&HostLink::address, dev_.address(), set_address); !done) return done;
  const auto set_mtu = [&](uint32_t mtu) { return tap.set_mtu(ifindex, mtu); };
  if (auto done = take_over(&HostLink::mtu, dev_.mtu(), set_mtu); !done) return done;
  follow_carrier(std::nullopt);
  if (!link->up && (config_.up || dev_.running())) {
    if (auto done = tap.set_up(ifindex, true); !done) return done;
  }
  for (const std::string& address : config_.ip_addresses) {
    const HostResult<> done = tap.add_ip_address(ifindex, address);
    if (done) {
      added_.push_back(address);
    } else if (!tap_.persistent() || done.error().error != std::errc::file_exists) {
      return done;
    }
  }
  return {};
}

// Nobody else knows what a persistent TAP was like before.
void HostPort::Impl::as_it_was_found() {
  if (!found_) return;
  Rtnetlink& tap = sockets_.rtnetlink;
  const int ifindex = ifindex_.load();
  for (const std::string& address : added_) (void)tap.del_ip_address(ifindex, address);
  (void)tap.set_up(ifindex, found_->up);
  (void)tap.set_mtu(ifindex, found_->mtu);
  (void)tap.set_address(ifindex, found_->address);
}

HostResult<> HostPort::Impl::start(LinkWatch& watch) {
  if (const Result<> attached = pump_.start(); !attached) {
    return host_fail(attached.error(),
                     fmt::format("{} cannot be shown: {}", dev_.name(), why_not_attached(attached.error())));
  }
  if (HostResult<> done = as_the_device(watch); !done) {
    done.error().sentence = fmt::format("interface \"{}\": {}", tap_.name(), done.error().sentence);
    return done;
  }
  notifier_.emplace(dev_.net(), [this](NetdevEvent event, NetDevice& dev) { return on_netdev_event(event, dev); });
  Result<Thread> thread = Thread::start("mirror-" + tap_.name(), [this] { mirror_loop(); });
  if (!thread) {
    return host_fail(thread.error(), fmt::format("cannot make the thread of interface \"{}\": {}", tap_.name(),
                                                 thread_refusal(thread.error())));
  }
  thread_ = *std::move(thread);
  return {};
}

HostPort::Impl::~Impl() {
  close();
}

void HostPort::Impl::close() {
  if (std::exchange(closed_, true)) return;
  look_.end();
  stopping_.store(true);
  changed_.kick();
  thread_.join();
  wishes_.stop();
  notifier_.reset();
  pump_.stop();
  try {
    mirror_.let_go();
    change_lists(mirror_.take_wishes());
  } catch (const std::bad_alloc&) {  // references stay with the device, which hears too much rather than too little
  }
  wishes_.undo();
  try {
    as_it_was_found();
  } catch (const std::bad_alloc&) {  // it keeps what it got
  }
  MutexGuard guard(name_lock_);
  tap_closed_ = true;
  tap_.close();
}

// Under rtnl: only looks, and wakes those who act.
Result<> HostPort::Impl::on_netdev_event(NetdevEvent, NetDevice& dev) {
  if (&dev != &dev_) return {};
  changed_.kick();
  pump_.look_again();
  return {};
}

void HostPort::Impl::mirror_loop() {
  bool more_events = false;
  while (!stopping_.load()) {
    const Time begun = Clock::now();
    try {
      more_events = follow_kernel(more_events);
    } catch (const std::bad_alloc&) {  // what it heard may be lost: a picture a little later shows it
      mirror_.on_picture_failed(begun, begun);
      more_events = false;
    }
  }
}

// Returns true while the kernel may have announced more.
bool HostPort::Impl::follow_kernel(bool more_events) {
  if (look_.wanted() > mirror_.known_as_of()) mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, Clock::now());
  wait(more_events);
  changed_.clear();
  events_.clear();
  more_events = sockets_.events.read(events_);
  const Time now = Clock::now();
  for (const HostEvent& event : events_) {
    if (event.kind == HostEvent::Kind::kLinkGone) {
      lost_ = true;  // deleted, or only moved
    } else {
      mirror_.on_event(event, now);
    }
  }
  events_count_.fetch_add(events_.size());
  if (!events_.empty()) note_name();
  if (lost_ || now >= look_again_) look_for_interface();
  if (Clock::now() >= next_picture()) take_picture();
  carry_out(mirror_.take_wishes());
  if (wishes_.answered()) look_.known(mirror_.known_as_of());
  return more_events;
}

// Until the kernel announces something, somebody kicks, or a picture is due.
void HostPort::Impl::wait(bool more_events) {
  pollfd fds[2] = {{changed_.fd(), POLLIN, 0}, {sockets_.events.fd(), POLLIN, 0}};
  const Time due = std::min(next_picture(), look_again_);
  Duration left = Duration::zero();
  if (!more_events && due > Clock::now()) left = due - Clock::now();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  ::ppoll(fds, 2, due == kForever && !more_events ? nullptr : &timeout, nullptr);
}

void HostPort::Impl::take_picture() {
  const Time begun = Clock::now();
  const HostResult<HostPicture> picture = sockets_.pictures.read();
  const Time ended = Clock::now();
  if (picture) {
    mirror_.on_picture(*picture);
    link_is_fresh_ = true;
    pictures_.fetch_add(1);
    last_picture_us_.store(static_cast<uint64_t>((ended - begun) / std::chrono::microseconds(1)));
  } else if (picture.error().error == std::errc::no_such_device) {
    look_for_interface();
  } else {
    mirror_.on_picture_failed(begun, ended);
    pictures_failed_.fetch_add(1);
  }
}

// The kernel says something of a rename only in passing; the TAP knows.
void HostPort::Impl::note_name() {
  const Result<std::string> now = tap_.name_now();
  MutexGuard guard(name_lock_);
  if (now) name_ = *now;
}

std::string HostPort::Impl::name() const {
  MutexGuard guard(name_lock_);
  return name_;
}

std::string HostPort::Impl::name_now() {
  MutexGuard guard(name_lock_);
  if (tap_closed_) return name_;
  if (const Result<std::string> now = tap_.name_now()) name_ = *now;
  return name_;
}

// It is not where it was: somebody deleted it, or moved it, and the TAP knows where to.
void HostPort::Impl::look_for_interface() {
  look_again_ = kForever;
  const Result<std::string> name = tap_.name_now();
  if (!name) {
    set_whereabouts(Whereabouts::kGone, "the interface was deleted");
    look_.end();
    lost_ = false;
    return mirror_.on_event({HostEvent::Kind::kLinkGone, {}}, Clock::now());
  }
  note_name();
  const HostResult<NetNamespace> netns = tap_.netns_now();
  if (!netns) return out_of_reach(netns.error().sentence);
  HostResult<Sockets> sockets = open_sockets(*netns, *name);
  if (!sockets) return out_of_reach(sockets.error().sentence);
  move_to(*netns, *std::move(sockets));
}

void HostPort::Impl::move_to(const NetNamespace& netns, Sockets sockets) {
  mirror_.let_go();
  change_lists(mirror_.take_wishes());
  mirror_ = Mirror(config_.audit);
  sockets_ = std::move(sockets);
  lost_ = false;
  ifindex_.store(sockets_.ifindex);
  joins_are_announced_.store(sockets_.events.joins_are_announced());
  netns_.store(netns.id());
  link_is_fresh_ = false;
  const bool home = netns.id() == home_;
  set_whereabouts(home ? Whereabouts::kHome : Whereabouts::kElsewhere,
                  home ? "the interface is at home" : fmt::format("the interface was moved to net:[{}]", netns.id()));
}

void HostPort::Impl::out_of_reach(const std::string& why) {
  look_again_ = Clock::now() + kLookAgain;
  lost_ = false;
  if (whereabouts_.load() == Whereabouts::kOutOfReach) return;
  mirror_.let_go();
  change_lists(mirror_.take_wishes());
  mirror_ = Mirror(config_.audit);
  (void)tap_.set_carrier(false);
  carrier_ = Followed<bool>(false);
  if (dev_.running()) wishes_.wish_up(false);
  up_ = Followed<bool>(false);
  netns_.store(0);
  set_whereabouts(Whereabouts::kOutOfReach,
                  fmt::format("the interface was moved to where it cannot be followed, and has no carrier: {}", why));
}

void HostPort::Impl::set_whereabouts(Whereabouts whereabouts, const std::string& what) {
  if (whereabouts_.exchange(whereabouts) != whereabouts) config_.log(fmt::format("{}: {}", name(), what));
}

void HostPort::Impl::carry_out(const HostWishes& wishes) {
  change_lists(wishes);
  const bool fresh = link_is_fresh_;  // before `follow` tells the kernel something
  if (wishes.known && (fresh || wishes.gone)) follow(wishes.link);
  if (!wishes.gone && look_again_ == kForever) follow_carrier(fresh ? wishes.link.carrier : std::nullopt);
}

// Lists never wait for a card, so this happens at once. Context: any but hard irq.
void HostPort::Impl::change_lists(const HostWishes& wishes) {
  const auto add = [&](AddressList& list, const std::vector<MacAddress>& addresses) {
    for (const MacAddress& address : addresses) {
      if (!list.add(address)) mirror_.refused(address);
    }
  };
  const auto del = [&](AddressList& list, const std::vector<MacAddress>& addresses) {
    for (const MacAddress& address : addresses) (void)list.del(address);
  };
  add(dev_.uc(), wishes.add_unicast);
  add(dev_.mc(), wishes.add_multicast);
  RxMode& rx_mode = dev_.rx_mode();
  hold_reference(wishes.promiscuous, promiscuous_, [&](int n) { return rx_mode.set_promiscuity(n).has_value(); });
  hold_reference(wishes.allmulti, allmulti_, [&](int n) { return rx_mode.set_allmulti(n).has_value(); });
  del(dev_.uc(), wishes.del_unicast);
  del(dev_.mc(), wishes.del_multicast);
}

template <class T, class TellDevice, class TellKernel>
void HostPort::Impl::follow_one(Followed<T>& followed, bool answered,
                                const std::optional<std::type_identity_t<T>>& kernel, const T& device,
                                TellDevice tell_device, TellKernel tell_kernel) {
  FollowStep step = kernel ? followed.look(*kernel, device) : followed.look(device);
  if (step == FollowStep::kNothing && answered) step = followed.device_answered(device);
  if (step == FollowStep::kTellDevice) tell_device(*kernel);
  if (step != FollowStep::kTellKernel) return;
  if (const HostResult<> told = with_memory(tell_kernel, device); told) {
    followed.kernel_has(device);
    link_is_fresh_ = false;
    mirror_.on_event({HostEvent::Kind::kLinkChanged, {}}, Clock::now());
  } else {
    config_.log(fmt::format("{}: {}", name(), told.error().sentence));
  }
}

void HostPort::Impl::follow(const HostLink& link) {
  Rtnetlink& tap = sockets_.rtnetlink;
  const bool answered = wishes_.answered();  // asked before the device's values are read: they are the answer
  follow_one(
      up_, answered, link.up, dev_.running(), [&](bool up) { wishes_.wish_up(up); },
      [&](bool up) { return tap.set_up(ifindex_.load(), up); });
  if (whereabouts_.load() == Whereabouts::kGone) return;
  follow_one(
      mtu_, answered, link.mtu, dev_.mtu(), [&](uint32_t mtu) { wishes_.wish_mtu(mtu); },
      [&](uint32_t mtu) { return tap.set_mtu(ifindex_.load(), mtu); });
  follow_one(
      address_, answered, link.address, dev_.address(),
      [&](const MacAddress& address) { wishes_.wish_address(address); },
      [&](const MacAddress& address) { return tap.set_address(ifindex_.load(), address); });
}

// Other than the rest, the device's carrier reaches the kernel also while no picture is fresh.
void HostPort::Impl::follow_carrier(std::optional<bool> kernel) {
  const bool answered = wishes_.answered();  // as in follow
  const bool carrier = dev_.carrier_ok() && dev_.present() && dev_.reg_state() == RegState::kRegistered;
  follow_one(
      carrier_, answered, kernel, carrier, [&](bool on) { wishes_.wish_carrier(on); },
      [&](bool on) -> HostResult<> {
        if (const Result<> set = tap_.set_carrier(on); !set) return host_fail(set.error(), "cannot set its carrier");
        return {};
      });
}

HostResult<HostPort::Impl::Sockets> HostPort::Impl::open_sockets(const NetNamespace& netns,
                                                                 const std::string& interface) {
  HostResult<Rtnetlink> rtnetlink = Rtnetlink::open(netns);
  if (!rtnetlink) return std::unexpected(rtnetlink.error());
  const HostResult<int> ifindex = rtnetlink->ifindex(interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  // Listening begins before the first look, so nothing falls between.
  HostResult<EventSocket> events = EventSocket::open(netns, *ifindex);
  if (!events) return std::unexpected(events.error());
  HostResult<PictureReader> pictures = PictureReader::open(netns, *ifindex);
  if (!pictures) return std::unexpected(pictures.error());
  return Sockets{*ifindex, std::move(*rtnetlink), std::move(*events), std::move(*pictures)};
}

HostPort::HostPort(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
HostPort::~HostPort() = default;

HostResult<std::unique_ptr<HostPort>> HostPort::create(NetDevice& dev, const NetNamespace& netns,
                                                       HostPortConfig config) {
  HostResult<Kick> changed = Kick::make();
  if (!changed) return std::unexpected(changed.error());
  HostResult<Kick> woken = Kick::make();
  if (!woken) return std::unexpected(woken.error());
  HostResult<LinkWatch> watch = LinkWatch::begin(netns);
  if (!watch) return std::unexpected(watch.error());
  HostResult<Tap> tap = Tap::create(netns, config.name);
  if (!tap) return std::unexpected(tap.error());
  HostResult<Impl::Sockets> sockets = Impl::open_sockets(netns, config.name);
  if (!sockets) return std::unexpected(sockets.error());
  auto impl = std::make_unique<Impl>(dev, std::move(config), std::move(*tap), netns.id(),
                                     Impl::Kicks{std::move(*changed), std::move(*woken)}, *std::move(sockets));
  if (HostResult<> started = impl->start(*watch); !started) return std::unexpected(started.error());
  return std::unique_ptr<HostPort>(new HostPort(std::move(impl)));
}

void HostPort::close() {
  impl_->close();
}
std::string HostPort::name_now() const {
  return impl_->name_now();
}
int HostPort::ifindex() const noexcept {
  return impl_->ifindex_.load();
}

Result<> HostPort::wait_known(Time as_of, Time deadline) {
  return impl_->look().wait(as_of, deadline);
}

HostPortStatus HostPort::status() const {
  HostPortStatus status;
  status.joins_are_announced = impl_->joins_are_announced_.load();
  status.interface = impl_->name();
  status.whereabouts = impl_->whereabouts_.load();
  status.netns = impl_->netns_.load();
  status.pictures = impl_->pictures_.load();
  status.pictures_failed = impl_->pictures_failed_.load();
  status.events = impl_->events_count_.load();
  status.last_picture_us = impl_->last_picture_us_.load();
  status.receive_dropped = impl_->pump().receive_dropped();
  status.oversized = impl_->pump().oversized();
  status.refused = impl_->refused();
  return status;
}

}  // namespace usernic
