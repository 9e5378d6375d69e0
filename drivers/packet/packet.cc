// SPDX-License-Identifier: Apache-2.0 OR MIT
// Life, link and filter of the driver. Frames are in packet_frames.cc.
#include "drivers/packet/packet.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "usernic/notice.h"
#include "usernic/refusal.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr uint32_t kBufferBytes = 4 << 20;  // of the socket, each way
constexpr uint32_t kFrames = 512;
constexpr uint32_t kSuperframes = 2 * PacketReader::kTurn;
constexpr uint32_t kMtuMin = 68;  // [RFC 791]
constexpr Duration kOpenRetry = std::chrono::seconds(1);

// A locally administered address that the same device of the same interface has each time, so that whoever gives out
// addresses knows it again.
MacAddress address_for(const std::string& device, const MacAddress& interface) {
  uint64_t hash = 0xcbf2'9ce4'8422'2325;  // FNV-1a
  const auto add = [&](uint8_t octet) { hash = (hash ^ octet) * 0x100'0000'01b3; };
  for (const uint8_t octet : interface.octets) add(octet);
  for (const char octet : device) add(static_cast<uint8_t>(octet));
  MacAddress address = MacAddress::from_u64(hash >> 16);
  address.octets[0] = static_cast<uint8_t>((address.octets[0] & 0xfc) | 0x02);
  return address;
}

Membership membership_of(const MacAddress& address) {
  return address.is_multicast() ? Membership::kMulticast : Membership::kUnicast;
}

Result<> watch_fd(int epoll, int fd, uint32_t events) {
  epoll_event wanted{.events = events, .data = {.fd = fd}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

}  // namespace

Result<NetdevPtr> PacketNic::probe(Net& net, NetdevConfig config, const std::string& name) {
  if (config.mtu > kMtuMax) return fail(std::errc::invalid_argument);
  config.mtu_max = std::min(config.mtu_max, kMtuMax);  // the buffers are for it
  Result<Interface> interface = Interface::find(name);
  if (!interface) return fail(interface.error());
  const Result<Interface::State> state = interface->state();
  if (!state) return fail(state.error());
  if (!state->ethernet) return fail(std::errc::not_supported);
  Result<PacketSocket> socket = PacketSocket::open(kBufferBytes);
  if (!socket) return fail(socket.error());
  Result<InterfaceEvents> events = InterfaceEvents::open();
  if (!events) return fail(events.error());
  Result<Kick> ends = Kick::make();
  if (!ends) return fail(ends.error());
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(static_cast<std::errc>(errno));
  // Of the socket nothing is wanted yet.
  const std::pair<int, uint32_t> watched[] = {
      {socket->fd(), EPOLLONESHOT}, {events->fd(), EPOLLIN}, {ends->fd(), EPOLLIN}};
  for (const auto& [fd, wanted] : watched) {
    if (const Result<> done = watch_fd(epoll.get(), fd, wanted); !done) return fail(done.error());
  }

  if (config.address.is_zero()) config.address = address_for(config.name, state->address);
  const uint32_t wanted_mtu = config.mtu == 0 ? config.mtu_max : config.mtu;
  if (config.mtu > state->mtu) {
    if (const Result<> raised = interface->set_mtu(config.mtu); !raised) return fail(raised.error());
  } else if (config.mtu == 0) {
    config.mtu = std::clamp(state->mtu, kMtuMin, config.mtu_max);
  }
  return net.alloc_netdev<PacketNic>(config, Parts{name, *std::move(interface), *std::move(socket), *std::move(events),
                                                   *std::move(ends), std::move(epoll), wanted_mtu, state->address});
}

PacketNic::PacketNic(NetDevice& dev, Parts parts)
    : dev_(dev),
      name_(std::move(parts.name)),
      interface_(std::move(parts.interface)),
      interface_address_(parts.address),
      wanted_mtu_(parts.wanted_mtu),
      socket_(std::move(parts.socket)),
      events_(std::move(parts.events)),
      ends_(std::move(parts.ends)),
      epoll_(std::move(parts.epoll)),
      lane_(dev.lane()),
      napi_(dev, *this),
      look_work_([this] { look(); }, &dev),
      refill_work_([this] { napi_.schedule(); }, &dev),
      frames_(kFrames, kMtuMax + kFrameOverhead),
      superframes_(kSuperframes, kSuperframeBytes, &frames_),
      reader_(socket_),
      accepted_(std::make_unique<packet::Filter>()),
      writer_(socket_) {}

PacketNic::~PacketNic() {
  ends_.kick();
  watcher_.join();
  look_work_.cancel_sync();
  refill_work_.cancel_sync();
  reader_.free_spare();
}

Result<> PacketNic::init() {
  dev_.carrier_off();
  Result<Thread> watcher = Thread::start("packet-" + name_, [this] { watch(); });
  if (!watcher) return fail(watcher.error());
  watcher_ = *std::move(watcher);
  return {};
}

void PacketNic::uninit() {
  ends_.kick();
  watcher_.join();
  look_work_.cancel();
  refill_work_.cancel();
}

// --- Open and stop ---

Result<> PacketNic::open() {
  if (gone_) return fail(std::errc::no_such_device);
  if (const Result<> started = start(); !started) return started;
  up_ = true;
  dev_.tx_queue(0).start();
  if (const auto state = interface_.state()) follow_carrier(*state);
  return {};
}

void PacketNic::stop() {
  up_ = false;
  quiesce();
  dev_.carrier_off();
}

Result<> PacketNic::start() {
  if (const Result<> done = interface_.set_up(); !done) return done;
  if (const Result<> done = socket_.bind(interface_.index()); !done) return done;
  filter_ = {};
  member_as_.reset();
  if (const Result<> done = listen_to(dev_.address()); !done) return done;
  (void)socket_.drain();
  if (const Result<> done = publish(); !done) {
    forget();
    return done;
  }
  napi_.enable();
  started_.store(true);
  SpinGuard guard(tx_lock_);
  arm();
  return {};
}

// Nothing is received or sent any more. The other half of `start`.
void PacketNic::quiesce() {
  if (!started_.exchange(false)) return;
  (void)socket_.pass_nothing();
  napi_.disable();
  forget();
  unread_.fetch_add(socket_.drain());
  SkbBatch unsent;
  {
    SpinGuard guard(tx_lock_);
    unsent.splice(tx_);
    tx_count_.store(0);
    tx_waits_.store(false);
  }
  tx_discarded_.fetch_add(
      note_drops(dev_, unsent, FrameWay::kOut, "the device was stopped before there was room for it"));
}

// --- Link, unplug, return ---

// The interrupts: of the socket, and of what happens to interfaces.
void PacketNic::watch() {
  const ReportsOn concerned(dev_);
  for (;;) {
    epoll_event events[3];
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), -1);
    for (int n = 0; n < count; ++n) {
      if (events[n].data.fd == ends_.fd()) return;
      if (events[n].data.fd == socket_.fd()) {
        napi_.schedule();
      } else {
        events_.clear();
        lane_.queue(look_work_);
      }
    }
  }
}

void PacketNic::look() {
  if (gone_) return look_for_it();
  const Result<Interface::State> state = interface_.state();
  if (state) return follow(*state);
  if (state.error() == std::errc::no_such_device) unplugged();
}

void PacketNic::follow_carrier(const Interface::State& state) noexcept {
  if (started_.load() && state.carrier) {
    dev_.carrier_on();
  } else {
    dev_.carrier_off();
  }
}

void PacketNic::follow(const Interface::State& state) {
  follow_carrier(state);
  const uint32_t mtu = std::clamp(std::min(wanted_mtu_, state.mtu), dev_.mtu_min(), dev_.mtu_max());
  if (mtu != dev_.mtu()) {
    following_mtu_ = true;
    (void)dev_.change_mtu(mtu);
    following_mtu_ = false;
  }
  if (writer_.refuses_udp_superframes() && dev_.features().has(Feature::kUso)) {
    (void)dev_.change_features(dev_.features());
  }
  if (state.address == interface_address_) return;
  interface_address_ = state.address;
  (void)set_mac_address(dev_.address());
}

void PacketNic::unplugged() {
  dev_.carrier_off();
  (void)dev_.detach();  // nobody sends from here on
  quiesce();
  gone_ = true;
  look_for_it();  // one of the name may be there already
}

// It may be back as it was, by whatever name; another of its name is as good.
bool PacketNic::find_it() {
  const Result<Interface::State> itself = interface_.state();
  if (itself && itself->ethernet && itself->address == interface_address_) return true;
  Result<Interface> found = interface_.find_beside(name_);
  if (!found) return false;
  const Result<Interface::State> state = found->state();
  if (!state || !state->ethernet) return false;
  interface_ = *std::move(found);
  interface_address_ = state->address;
  return true;
}

void PacketNic::look_for_it() {
  if (!find_it()) return;
  if (up_) {
    if (const Result<> started = start(); !started) return refused(started.error());
  }
  refused_.reset();
  gone_ = false;
  (void)dev_.attach();
  look();
}

// What is in its way may go without a word here.
void PacketNic::refused(std::errc error) {
  lane_.queue_at(look_work_, Clock::now() + kOpenRetry);
  if (std::exchange(refused_, error) == error) return;
  tell_notice(fmt::format("{}: its interface is back, and cannot be opened: {}; it is tried again, each second",
                          dev_.name(), refusal(error)));
}

Result<> PacketNic::change_mtu(uint32_t mtu) {
  if (following_mtu_) return {};
  const Result<Interface::State> state = interface_.state();
  if (!state) return fail(state.error());
  if (mtu > state->mtu) {
    if (const Result<> raised = interface_.set_mtu(mtu); !raised) return raised;
  }
  wanted_mtu_ = mtu;
  return {};
}

// --- Filter ---

void PacketNic::set_rx_mode_async(RxPlan& plan) {
  while (RxCommand* const command = plan.next()) {
    Result<> done = started_.load() ? execute(*command) : fail(std::errc::no_such_device);
    if (done) done = publish();
    plan.answer(*command, done);
  }
}

// What was done already, and not published, is not done twice.
Result<> PacketNic::execute(const RxCommand& command) {
  const bool more = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kAdd;
  const auto change = [&](Membership what, const MacAddress& address = {}) {
    return more ? socket_.join(interface_.index(), what, address) : socket_.leave(interface_.index(), what, address);
  };
  const auto change_flag = [&](bool& flag, Membership what) {
    if (flag == more) return Result<>();
    const Result<> done = change(what);
    if (done) flag = more;
    return done;
  };
  switch (command.object) {
    case RxObject::kPromisc:
      return change_flag(filter_.promisc, Membership::kPromisc);
    case RxObject::kAllmulti:
      return change_flag(filter_.allmulti, Membership::kAllmulti);
    case RxObject::kUnicast:
    case RxObject::kMulticast:
      break;
    default:
      return fail(std::errc::operation_not_supported);
  }
  if (filter_.has(command.address) == more) return {};
  const Result<> done = change(membership_of(command.address), command.address);
  if (!done) return done;
  if (more) {
    filter_.add(command.address);
  } else {
    filter_.del(command.address);
  }
  return {};
}

// The interface receives what is for its own address anyway; on some, a membership would make it promiscuous.
Result<> PacketNic::listen_to(const MacAddress& own) {
  const Result<Interface::State> state = interface_.state();
  if (!state) return fail(state.error());
  interface_address_ = state->address;
  const bool needs = own != state->address;
  if (needs && member_as_ != own) {
    if (const Result<> done = socket_.join(interface_.index(), Membership::kUnicast, own); !done) return done;
  }
  if (member_as_ && (!needs || *member_as_ != own)) {
    (void)socket_.leave(interface_.index(), Membership::kUnicast, *member_as_);
  }
  member_as_ = needs ? std::optional(own) : std::nullopt;
  filter_.own = own;
  return {};
}

Result<> PacketNic::set_mac_address(const MacAddress& address) {
  if (!started_.load()) return {};  // `start` reads it
  if (const Result<> done = listen_to(address); !done) return done;
  return publish();
}

// Leaves whatever was joined.
void PacketNic::forget() {
  const auto leave = [this](Membership what, const MacAddress& address = {}) {
    (void)socket_.leave(interface_.index(), what, address);
  };
  for (const uint64_t each : filter_.listed()) {
    const MacAddress address = MacAddress::from_u64(each);
    leave(membership_of(address), address);
  }
  if (filter_.promisc) leave(Membership::kPromisc);
  if (filter_.allmulti) leave(Membership::kAllmulti);
  if (member_as_) leave(Membership::kUnicast, *std::exchange(member_as_, std::nullopt));
  filter_ = {};
}

// From here on frames are looked at by `filter_`, by the kernel first.
Result<> PacketNic::publish() {
  auto next = std::make_unique<const packet::Filter>(filter_);
  std::vector<MacAddress> unicasts{filter_.own};
  for (const uint64_t each : filter_.listed()) {
    if (const MacAddress address = MacAddress::from_u64(each); !address.is_multicast()) unicasts.push_back(address);
  }
  {
    SpinGuard guard(filter_lock_);
    accepted_.swap(next);
  }
  return filter_.promisc ? socket_.pass_everything() : socket_.pass(unicasts);
}

}  // namespace usernic
