// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/cdc.h"

#include <algorithm>
#include <utility>

namespace usernic {

using namespace cdc;

namespace {

constexpr uint32_t kFrames = 512;  // several transfers of many each
constexpr uint32_t kMtuMin = 68;   // [RFC 791]
constexpr uint32_t kListBatch = 64;

// A stall says that the function does not know the request; the first may be an accident.
template <class Ask>
Result<> ask_twice(Ask&& ask) {
  const Result<> done = ask();
  return done || done.error() != std::errc::broken_pipe ? done : ask();
}

// What the function at the device says of itself, and its data interface with endpoints from then on.
Result<Station> begin(Control& control, const Function& function, Protocol& protocol) {
  if (const Result<> done = control.set_configuration(function.configuration); !done) return fail(done.error());
  if (function.alternate != 0) {
    if (const Result<> done = control.set_interface(function.data, 0); !done) return fail(done.error());
  }
  Result<Station> station = protocol.set_up(control);
  if (!station) return station;
  if (station->frame_max < kMtuMin + kHeaderBytes) return fail(std::errc::bad_message);
  if (function.alternate != 0) {
    const Result<> done = control.set_interface(function.data, function.alternate);
    if (!done) return fail(done.error());
  }
  if (station->multicasts == 0) return station;
  const Result<> emptied = ask_twice([&] { return protocol.list(control, {}); });
  if (!emptied && emptied.error() != std::errc::broken_pipe) return fail(emptied.error());
  if (!emptied) station->multicasts = 0;  // it said that it had a list
  return station;
}

}  // namespace

bool Cdc::is_known(const usb::Identity& identity) noexcept {
  return std::ranges::any_of(identity.interfaces,
                             [](const usb::ClassCode& code) { return framing_of(code).has_value(); });
}

Result<NetdevPtr> Cdc::probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                             std::unique_ptr<usb::Device> device, const usb::Wait& wait) {
  const auto function = find_function(device->descriptors());
  if (!function) return fail(std::errc::not_supported);
  Control control(*device, function->control, wait.stop);
  const Result<Station> station = begin(control, *function, *Protocol::create(*function));
  if (!station) return fail(station.error());
  const uint32_t mtu_max = std::min(station->frame_max - kHeaderBytes, kMtuMax);
  if (config.mtu > mtu_max) return fail(std::errc::invalid_argument);
  config.mtu_max = std::min(config.mtu_max, mtu_max);
  if (config.address.is_zero() && station->permanent.is_valid_own()) config.address = station->permanent;
  return net.alloc_netdev<Cdc>(config, std::move(port), std::move(device), *function, *station);
}

Cdc::Cdc(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device, const Function& function,
         const Station& station)
    : dev_(dev),
      station_(station),
      function_(function),
      protocol_(Protocol::create(function)),
      permanent_(station.permanent),
      usbnet_(dev, *this, std::move(port), std::move(device),
              {.rx_bytes = Protocol::kTransferMax,
               .tx_bytes = Protocol::kTransferMax,
               .frame_max = std::min(station.frame_max, kMtuMax + kHeaderBytes) + kVlanTagBytes,
               .frames = kFrames}) {
  told_.reserve(list_max());
  list_.reserve(list_max() + kListBatch);
}

// --- Life ---

bool Cdc::takes(const usb::Device& device) const {
  const auto function = find_function(device.descriptors());
  return function && function->framing == function_.framing;
}

Result<> Cdc::set_up(usb::Device& device, const StopToken& stop) {
  const auto function = find_function(device.descriptors());
  if (!function) return fail(std::errc::not_supported);
  function_ = *function;
  protocol_ = Protocol::create(function_);
  Control control = this->control(device, stop);
  const Result<Station> station = begin(control, function_, *protocol_);
  if (!station) return fail(station.error());
  if (station->multicasts < station_.multicasts || station->frame_max < dev_.mtu() + kHeaderBytes) {
    return fail(std::errc::not_supported);
  }
  permanent_ = station->permanent;
  promisc_ = allmulti_ = false;
  told_.clear();
  if (const Result<> done = set_own(control, dev_.address()); !done) return done;
  Result<News> news = protocol_->fetch(control);
  if (!news) return fail(news.error());
  // An NCM function says when it is connected [NCM 7.1]. Of ECM functions some never do [Linux, cdc_ether.c].
  if (!news->connected) news->connected = function_.framing != Framing::kNcm || function_.interrupt_in == 0;
  hear(*news);
  return {};
}

Result<> Cdc::enable(usb::Device& device, const StopToken& stop) {
  Control control = this->control(device, stop);
  filters_ = true;
  const Result<> done = ask_twice([&] { return accept(control, false, false); });
  if (done) return {};
  filters_ = false;
  return done.error() == std::errc::broken_pipe || done.error() == std::errc::operation_not_supported ? Result<>()
                                                                                                      : done;
}

void Cdc::disable(usb::Device& device, const StopToken& stop) {
  Control control = this->control(device, stop);
  (void)protocol_->accept(control, nullptr);  // a device that does not answer is left as it is
}

void Cdc::interrupt(std::span<const uint8_t> octets) noexcept {
  hear(parse_notifications(function_.framing, octets));
}

void Cdc::later(usb::Device& device, const StopToken& stop) {
  Control control = this->control(device, stop);
  if (const Result<News> news = protocol_->fetch(control)) hear(*news);
}

void Cdc::hear(const News& news) noexcept {
  if (news.bits_per_second) bits_per_second_.store(*news.bits_per_second);
  if (news.connected) usbnet_.link_changed(*news.connected);
  if (news.message) usbnet_.call_later();
}

// --- Frames ---

bool Cdc::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  return protocol_->pack(block, frame);
}

bool Cdc::seal(usb::TxBlock& block) noexcept {
  return protocol_->seal(block);
}

bool Cdc::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  return protocol_->unpack(octets, frames);
}

// --- Filter ---

RxFilterCaps Cdc::rx_filter_caps() const {
  const bool filters = function_.framing == Framing::kRndis || (function_.capabilities & kCanFilter) != 0;
  return {.multicast_slots = list_max(), .promisc = filters, .allmulti = true};
}

// The list's commands, gathered: it is written once for as many as can wait for it.
class Cdc::ListWriter {
 public:
  ListWriter(Cdc& cdc, RxPlan& plan, Control& control) : cdc_(cdc), plan_(plan), control_(control) {
    cdc_.list_ = cdc_.told_;
  }

  void take(RxCommand& command) {
    commands_[count_++] = &command;
    if (command.kind == RxCommandKind::kDel) {
      std::erase(cdc_.list_, command.address);
    } else if (std::ranges::find(cdc_.list_, command.address) == cdc_.list_.end()) {
      cdc_.list_.push_back(command.address);
    }
    // In a list that is full a slot is free for the next command when the core knows that it is.
    const bool frees = command.kind == RxCommandKind::kDel && cdc_.told_.size() >= cdc_.list_max();
    if (frees || count_ == commands_.size()) (void)write();
  }

  Result<> write() {
    if (count_ == 0) return {};
    const Result<> done = refused_without_memory([this] { return cdc_.protocol_->list(control_, cdc_.list_); });
    (done ? cdc_.told_ : cdc_.list_) = done ? cdc_.list_ : cdc_.told_;
    for (RxCommand* const command : std::span(commands_).first(count_)) plan_.answer(*command, done);
    count_ = 0;
    return done;
  }

 private:
  Cdc& cdc_;
  RxPlan& plan_;
  Control& control_;
  std::array<RxCommand*, kListBatch> commands_{};
  size_t count_ = 0;
};

void Cdc::set_rx_mode_async(RxPlan& plan) {
  if (!usbnet_.started()) {
    while (RxCommand* const command = plan.next()) plan.answer(*command, fail(std::errc::no_such_device));
    return;
  }
  Control control = this->control(*usbnet_.device(), plan.stop());
  ListWriter list(*this, plan, control);
  while (RxCommand* const command = plan.next()) {
    if (command->object == RxObject::kMulticast) {
      list.take(*command);
      continue;
    }
    // In order: a flag that narrows relies on the list before it.
    const Result<> written = list.write();
    plan.answer(*command, written ? execute(control, *command) : written);
  }
  (void)list.write();
}

Result<> Cdc::execute(Control& control, const RxCommand& command) {
  const bool on = command.kind == RxCommandKind::kWiden;
  switch (command.object) {
    case RxObject::kPromisc:
      return filters_ ? accept(control, on, allmulti_) : fail(std::errc::operation_not_supported);
    case RxObject::kAllmulti:
      return filters_ ? accept(control, promisc_, on) : Result<>();  // without a filter it passes every group
    default:
      return fail(std::errc::operation_not_supported);
  }
}

Result<> Cdc::accept(Control& control, bool promisc, bool allmulti) {
  const Accepted accepted{.promisc = promisc || foreign_own_, .allmulti = allmulti, .listed = station_.multicasts > 0};
  const Result<> done = refused_without_memory([&] { return protocol_->accept(control, &accepted); });
  if (!done) return done;
  promisc_ = promisc;
  allmulti_ = allmulti;
  return {};
}

// The own address is told, or else noted as one that the function does not know.
Result<> Cdc::set_own(Control& control, const MacAddress& address) {
  const Result<> told = protocol_->set_address(control, address);
  if (!told && told.error() != std::errc::operation_not_supported) return told;
  foreign_own_ = !told && address != permanent_;
  return {};
}

Result<> Cdc::set_mac_address(const MacAddress& address) {
  if (usbnet_.device() == nullptr) return fail(std::errc::no_such_device);
  if (!usbnet_.started()) return {};  // it is told when it is set up
  Control control = this->control(*usbnet_.device(), {});
  const bool before = foreign_own_;
  if (const Result<> done = set_own(control, address); !done) return done;
  if (foreign_own_ == before) return {};
  const Result<> done = filters_ ? accept(control, promisc_, allmulti_) : fail(std::errc::operation_not_supported);
  if (!done) foreign_own_ = before;
  return done;
}

}  // namespace usernic
