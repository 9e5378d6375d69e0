// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/kernel_follower.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {

namespace {

constexpr Duration kLookAgain = std::chrono::seconds(1);
constexpr Duration kRetryWait = std::chrono::milliseconds(10);

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
    wait_on(never, 0, Clock::now() + kRetryWait);
  }
}

}  // namespace

KernelFollower::KernelFollower(NetDevice& dev, const HostPortConfig& config, HostLoop& loop, KernelEnd& end,
                               InterfaceName& name, Kick& changed)
    : dev_(dev),
      config_(config),
      loop_(loop),
      end_(end),
      name_(name),
      changed_(changed),
      look_(changed),
      wishes_(dev, changed, config.log),
      up_(dev.running()),
      mtu_(dev.mtu()),
      address_(dev.address()) {}

HostResult<> KernelFollower::join(const NetNamespace& home, LinkWatch& made) {
  home_ = home.id();
  if (HostResult<> entered = enter(home, end_.name()); !entered) return entered;
  HostResult<> done = as_the_device(made);
  if (done) done = loop_.turns().add(*this, changed_.fd());
  if (!done) done.error().sentence = fmt::format("interface \"{}\": {}", end_.name(), done.error().sentence);
  return done;
}

// Its interface is there from now on. Listening begins before the first look, so nothing falls between.
HostResult<> KernelFollower::enter(const NetNamespace& netns, const std::string& interface) {
  HostResult<std::shared_ptr<NetnsWatch>> watch = loop_.watch(netns);
  if (!watch) return std::unexpected(watch.error());
  const HostResult<int> ifindex = (*watch)->rtnetlink().ifindex(interface);
  if (!ifindex) return std::unexpected(ifindex.error());
  leave_watch();
  (*watch)->join(*ifindex, *this);
  watch_ = *std::move(watch);
  pictures_.emplace(watch_->pictures(), *ifindex);
  counters_.ifindex.store(*ifindex);
  counters_.joins_are_announced.store(watch_->joins_are_announced());
  counters_.netns.store(watch_->netns());
  return {};
}

void KernelFollower::leave_watch() noexcept {
  pictures_.reset();
  if (watch_) watch_->leave(counters_.ifindex.load(), *this);
  watch_.reset();
}

// The TAP starts as the device is; what changes from here on is followed.
HostResult<> KernelFollower::as_the_device(LinkWatch& made) {
  Rtnetlink& kernel = watch_->rtnetlink();
  const int ifindex = counters_.ifindex.load();
  const HostResult<HostLink> link = kernel.link(ifindex);
  if (!link) return std::unexpected(link.error());
  if (end_.persistent()) found_ = *link;
  // What somebody gave it meanwhile is a wish, as udev's policies: it is followed.
  const std::vector<HostLink>& announced = made.announced(ifindex);
  const HostLink first = end_.persistent() || announced.empty() ? *link : announced.front();
  const auto take_over = [&]<class T>(T HostLink::*value, const T& ours, auto set) -> HostResult<> {
    const auto given = [&] { return made.given(ifindex, value, first.*value, ours); };
    if ((*link).*value == ours || given()) return {};
    if (const HostResult<> done = set(ours); !done) return done;
    const std::optional<T> written_over = given();
    return written_over ? set(*written_over) : HostResult<>();
  };
  const auto set_address = [&](const MacAddress& address) { return kernel.set_address(ifindex, address); };
  if (auto done = take_over(&HostLink::address, dev_.address(), set_address); !done) return done;
  const auto set_mtu = [&](uint32_t mtu) { return kernel.set_mtu(ifindex, mtu); };
  if (auto done = take_over(&HostLink::mtu, dev_.mtu(), set_mtu); !done) return done;
  follow_carrier(std::nullopt);
  if (!link->up && (config_.up || dev_.running())) {
    if (auto done = kernel.set_up(ifindex, true); !done) return done;
  }
  for (const std::string& address : config_.ip_addresses) {
    const HostResult<> done = kernel.add_ip_address(ifindex, address);
    if (done) {
      added_.push_back(address);
    } else if (!end_.persistent() || done.error().error != std::errc::file_exists) {
      return done;
    }
  }
  return {};
}

void KernelFollower::leave() noexcept {
  look_.end();
  loop_.turns().remove(*this);
  if (watch_) watch_->leave(counters_.ifindex.load(), *this);
}

void KernelFollower::undo() {
  wishes_.stop();
  try {
    start_again();
  } catch (const std::bad_alloc&) {  // references stay with the device, which hears too much rather than too little
  }
  wishes_.undo();
}

// Nobody else knows what a persistent TAP was like before.
void KernelFollower::finish() {
  if (found_ && watch_) {
    Rtnetlink& kernel = watch_->rtnetlink();
    const int ifindex = counters_.ifindex.load();
    for (const std::string& address : added_) (void)kernel.del_ip_address(ifindex, address);
    (void)kernel.set_up(ifindex, found_->up);
    (void)kernel.set_mtu(ifindex, found_->mtu);
    (void)kernel.set_address(ifindex, found_->address);
  }
  leave_watch();
}

void KernelFollower::on_event(const HostEvent& event) noexcept {
  counters_.events.fetch_add(1);
  loop_.turns().wake(*this);
  const Time now = Clock::now();
  if (event.kind == HostEvent::Kind::kLinkGone) {
    lost_ = true;  // deleted, or only moved
    return;
  }
  renamed_ |= event.kind != HostEvent::Kind::kAddressAdded && event.kind != HostEvent::Kind::kAddressDeleted;
  try {
    mirror_.on_event(event, now);
  } catch (const std::bad_alloc&) {  // a picture a little later shows it
    mirror_.on_picture_failed(now, now);
  }
}

bool KernelFollower::is_news(const InterfaceView& view) const noexcept {
  return !view.whole || mirror_.is_news(view.link, view.addresses, view.uc_empty);
}

NetnsWatch::Cost KernelFollower::look_soon() noexcept {
  mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, Clock::now());
  loop_.turns().wake(*this);
  return {.time = std::chrono::microseconds(counters_.last_picture_us.load()), .addresses = mirror_.address_count()};
}

Time KernelFollower::turn() noexcept {
  const Time begun = Clock::now();
  changed_.clear();
  try {
    follow_kernel();
  } catch (const std::bad_alloc&) {  // what it heard may be lost: a picture a little later shows it
    mirror_.on_picture_failed(begun, begun);
  }
  if (look_.wanted() > mirror_.known_as_of()) mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, Clock::now());
  return std::min(next_picture(), look_again_);
}

void KernelFollower::follow_kernel() {
  const Time now = Clock::now();
  if (look_.wanted() > mirror_.known_as_of()) mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, now);
  if (std::exchange(renamed_, false)) (void)name_.now();
  if (lost_ || now >= look_again_) look_for_interface();
  if (now >= next_picture()) take_picture();
  carry_out(mirror_.take_wishes());
  if (wishes_.answered()) look_.known(mirror_.known_as_of());
}

void KernelFollower::take_picture() {
  const Time begun = Clock::now();
  const HostResult<HostPicture> picture = pictures_->read();
  const Time ended = Clock::now();
  if (picture) {
    mirror_.on_picture(*picture);
    link_is_fresh_ = true;
    counters_.pictures.fetch_add(1);
    counters_.last_picture_us.store(static_cast<uint64_t>((ended - begun) / std::chrono::microseconds(1)));
  } else if (picture.error().error == std::errc::no_such_device) {
    look_for_interface();
  } else {
    mirror_.on_picture_failed(begun, ended);
    counters_.pictures_failed.fetch_add(1);
  }
}

// It is not where it was: somebody deleted it, or moved it, and its end knows where to.
void KernelFollower::look_for_interface() {
  look_again_ = kForever;
  const Result<std::string> name = end_.name_now();
  if (!name) {
    leave_watch();
    set_whereabouts(Whereabouts::kGone, "the interface was deleted");
    look_.end();
    lost_ = false;
    return mirror_.on_event({HostEvent::Kind::kLinkGone, {}}, Clock::now());
  }
  (void)name_.now();
  const HostResult<NetNamespace> netns = end_.netns_now();
  if (!netns) return out_of_reach(netns.error().sentence);
  if (const HostResult<> entered = enter(*netns, *name); !entered) return out_of_reach(entered.error().sentence);
  start_again();
  lost_ = false;
  link_is_fresh_ = false;
  const bool home = netns->id() == home_;
  set_whereabouts(home ? Whereabouts::kHome : Whereabouts::kElsewhere,
                  home ? "the interface is at home" : fmt::format("the interface was moved to net:[{}]", netns->id()));
}

// As if nothing had been wished for yet.
void KernelFollower::start_again() {
  mirror_.let_go();
  change_lists(mirror_.take_wishes());
  mirror_ = Mirror(Mirror::kNoAudit);
}

void KernelFollower::out_of_reach(const std::string& why) {
  look_again_ = Clock::now() + kLookAgain;
  lost_ = false;
  leave_watch();
  if (counters_.whereabouts.load() == Whereabouts::kOutOfReach) return;
  start_again();
  (void)end_.set_carrier(false);
  carrier_ = Followed<bool>(false);
  if (dev_.running()) wishes_.wish_up(false);
  up_ = Followed<bool>(false);
  counters_.netns.store(0);
  set_whereabouts(Whereabouts::kOutOfReach,
                  fmt::format("the interface was moved to where it cannot be followed, and has no carrier: {}", why));
}

void KernelFollower::set_whereabouts(Whereabouts whereabouts, const std::string& what) {
  if (counters_.whereabouts.exchange(whereabouts) != whereabouts) {
    config_.log(fmt::format("{}: {}", name_.last(), what));
  }
}

void KernelFollower::carry_out(const HostWishes& wishes) {
  change_lists(wishes);
  const bool fresh = link_is_fresh_;  // before `follow` tells the kernel something
  if (wishes.known && (fresh || wishes.gone)) follow(wishes.link);
  if (!wishes.gone && look_again_ == kForever) follow_carrier(fresh ? wishes.link.carrier : std::nullopt);
}

// Lists never wait for a card, so this happens at once. Context: any but hard irq.
void KernelFollower::change_lists(const HostWishes& wishes) {
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
void KernelFollower::follow_one(Followed<T>& followed, bool answered,
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
    config_.log(fmt::format("{}: {}", name_.last(), told.error().sentence));
  }
}

void KernelFollower::follow(const HostLink& link) {
  const auto tell = [this](auto change, const auto& value) -> HostResult<> {
    if (!watch_) return {};  // the interface is gone
    return (watch_->rtnetlink().*change)(counters_.ifindex.load(), value);
  };
  const bool answered = wishes_.answered();  // asked before the device's values are read: they are the answer
  follow_one(
      up_, answered, link.up, dev_.running(), [&](bool up) { wishes_.wish_up(up); },
      [&](bool up) { return tell(&Rtnetlink::set_up, up); });
  if (counters_.whereabouts.load() == Whereabouts::kGone) return;
  follow_one(
      mtu_, answered, link.mtu, dev_.mtu(), [&](uint32_t mtu) { wishes_.wish_mtu(mtu); },
      [&](uint32_t mtu) { return tell(&Rtnetlink::set_mtu, mtu); });
  follow_one(
      address_, answered, link.address, dev_.address(),
      [&](const MacAddress& address) { wishes_.wish_address(address); },
      [&](const MacAddress& address) { return tell(&Rtnetlink::set_address, address); });
}

// Other than the rest, the device's carrier reaches the kernel also while no picture is fresh.
void KernelFollower::follow_carrier(std::optional<bool> kernel) {
  const bool answered = wishes_.answered();  // as in follow
  const bool carrier = dev_.carrier_ok() && dev_.present() && dev_.reg_state() == RegState::kRegistered;
  follow_one(
      carrier_, answered, kernel, carrier, [&](bool on) { wishes_.wish_carrier(on); },
      [&](bool on) -> HostResult<> {
        if (const Result<> set = end_.set_carrier(on); !set) return host_fail(set.error(), "cannot set its carrier");
        return {};
      });
}

}  // namespace usernic
