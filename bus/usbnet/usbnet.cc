// SPDX-License-Identifier: Apache-2.0 OR MIT
// Life: open and stop, unplug and return, repair. Frames are in usbnet_frames.cc.
#include "bus/usbnet/usbnet.h"

#include <algorithm>
#include <utility>

namespace usernic::usb {
namespace {

constexpr Duration kOpenMost = std::chrono::seconds(30);  // ends at once when the device is to go
constexpr Duration kRepairAfter = std::chrono::milliseconds(10);

}  // namespace

Usbnet::Usbnet(NetDevice& dev, Adapter& adapter, std::shared_ptr<Port> port, std::unique_ptr<Device> device,
               const Sizes& sizes)
    : dev_(dev),
      adapter_(adapter),
      lane_(dev.lane()),
      port_(std::move(port)),
      sizes_(sizes),
      device_(std::move(device)),
      napi_(dev, *this),
      unplug_work_([this] { unplugged(); }, &dev),
      look_work_([this] { look_for_it(); }, &dev),
      return_work_([this] { returned(); }, &dev),
      repair_work_([this] { repair(); }, &dev),
      later_work_(
          [this] {
            if (started_) adapter_.later(*device_, current_stop_token());
          },
          &dev),
      pool_(sizes.frames, sizes.frame_max) {
  for (uint32_t n = 0; n < kRxTransfers; ++n) rx_.push_back(std::make_unique<RxSlot>(*this, sizes.rx_bytes));
  for (uint32_t n = 0; n < kTxTransfers; ++n) {
    tx_.push_back(std::make_unique<TxSlot>(*this, sizes.tx_bytes));
    put_free(*tx_.back());
  }
}

Usbnet::~Usbnet() {
  // A work that was queued before uninit may still be on its way, and the bus may queue one until it is closed.
  const auto end_works = [this] {
    for (Work* work : {&unplug_work_, &look_work_, &return_work_, &repair_work_, &later_work_}) work->cancel_sync();
  };
  end_works();
  device_ = nullptr;
  end_works();
}

Result<> Usbnet::init() {
  dev_.carrier_off();
  device_->watch(&Usbnet::on_unplugged, this);
  return {};
}

void Usbnet::uninit() {
  end_.request_stop();
  for (Work* work : {&unplug_work_, &look_work_, &return_work_, &repair_work_, &later_work_}) work->cancel();
}

// --- Open and stop ---

Result<> Usbnet::open() {
  if (device_ == nullptr) return fail(std::errc::no_such_device);
  const Result<> started = start({});
  up_ = started.has_value();
  if (up_) dev_.tx_queue(0).start();
  return started;
}

void Usbnet::stop() {
  up_ = false;
  quiesce({});
  dev_.carrier_off();
}

Result<> Usbnet::start(const StopToken& stop) {
  if (const Result<> done = adapter_.set_up(*device_, stop); !done) return done;
  pipes_ = adapter_.pipes();
  napi_.enable();
  started_.store(true);
  Result<> done = submit_all();
  if (done) done = adapter_.enable(*device_, stop);
  if (!done) quiesce(stop);
  return done;
}

// Nothing is received or sent any more, and nothing is in flight. The other half of `start`.
void Usbnet::quiesce(const StopToken& stop) {
  if (!started_.exchange(false)) return;
  if (!device_->gone()) adapter_.disable(*device_, stop);
  napi_.disable();
  device_->kill(interrupt_);
  for (auto& slot : rx_) device_->kill(slot->transfer);
  for (auto& slot : tx_) device_->kill(slot->transfer);
  if (filling_ != nullptr) put_free(*std::exchange(filling_, nullptr));
  SpinGuard guard(rx_lock_);
  done_first_ = done_last_ = nullptr;
  for (auto& slot : rx_) slot->broken = false;
}

Result<> Usbnet::submit_all() {
  tx_stalled_.store(false);
  interrupt_broken_.store(false);
  for (auto& slot : tx_) slot->transfer.endpoint = pipes_.bulk_out;
  for (auto& slot : rx_) {
    slot->transfer.endpoint = pipes_.bulk_in;
    slot->transfer.data = slot->octets;
    if (!submit(*slot)) return fail(std::errc::no_such_device);
  }
  if (pipes_.interrupt_in == 0) return {};
  interrupt_.endpoint = pipes_.interrupt_in;
  interrupt_.data = std::span(interrupt_octets_).first(std::min<size_t>(pipes_.interrupt_packet, kInterruptBytes));
  return device_->submit(interrupt_);
}

// --- Link, unplug, return ---

void Usbnet::on_interrupt(void* self, Transfer& transfer) noexcept {
  auto& net = *static_cast<Usbnet*>(self);
  if (transfer.result) net.adapter_.interrupt(std::span(net.interrupt_octets_).first(*transfer.result));
  const std::errc error = transfer.result ? std::errc{} : transfer.result.error();
  if (error == std::errc::operation_canceled || error == std::errc::no_such_device) return;
  if (error == std::errc{} && net.device_->submit(transfer)) return;
  net.interrupt_broken_.store(true);
  net.repair_soon();
}

void Usbnet::link_changed(bool up) noexcept {
  up ? dev_.carrier_on() : dev_.carrier_off();
}

void Usbnet::call_later(Duration after) noexcept {
  after == Duration::zero() ? lane_.queue(later_work_) : lane_.queue_at(later_work_, Clock::now() + after);
}

void Usbnet::on_unplugged(void* self) noexcept {
  auto& net = *static_cast<Usbnet*>(self);
  if (net.ending_.stop_requested()) return;
  net.dev_.carrier_off();
  net.lane_.queue(net.unplug_work_);
}

void Usbnet::unplugged() {
  if (ending_.stop_requested() || device_ == nullptr || !device_->gone()) return;
  (void)dev_.detach();  // nobody sends from here on
  quiesce({});
  dev_.carrier_off();
  replace_device(nullptr);
  look_later();
}

void Usbnet::replace_device(std::unique_ptr<Device> with) {
  MutexGuard guard(device_lock_);
  device_.swap(with);  // the old one ends after the lock
}

void Usbnet::look_later() {
  dev_.net().system_workqueue().queue_at(look_work_, Clock::now() + port_->look_again());
}

// Is it, or its like, back? Not on the lane: whoever parks that again and again, who opens the device until it works,
// would end each look.
void Usbnet::look_for_it() {
  if (ending_.stop_requested()) return;
  Result<std::unique_ptr<Device>> opened = port_->open({ending_, Clock::now() + kOpenMost});
  if (!opened || !adapter_.takes(**opened)) return look_later();
  found_ = *std::move(opened);
  lane_.queue(return_work_);
}

// Then everything is as it was: the core programs the filter after attach.
void Usbnet::returned() {
  if (ending_.stop_requested()) return;
  replace_device(std::move(found_));
  if (up_ && !start({})) {
    replace_device(nullptr);
    return look_later();
  }
  (void)dev_.attach();
  device_->watch(&Usbnet::on_unplugged, this);
}

// --- Repair ---

void Usbnet::repair_soon() noexcept {
  lane_.queue_at(repair_work_, Clock::now() + kRepairAfter);
}

// After a stall, or an error of the bus: the endpoint is cleared, and what it ended is submitted again.
void Usbnet::repair() {
  if (!started_ || device_->gone()) return;
  const Wait wait{current_stop_token(), Clock::now() + kRequestMost};
  bool again = false;
  if (tx_stalled_.exchange(false) && !device_->clear_halt(pipes_.bulk_out, wait)) {
    tx_stalled_.store(true);
    again = true;
  }
  if (interrupt_broken_.exchange(false)) {
    const bool cleared = device_->clear_halt(pipes_.interrupt_in, wait) && device_->submit(interrupt_);
    interrupt_broken_.store(!cleared);
    again |= !cleared;
  }
  again |= !repair_rx(wait);
  if (again) repair_soon();
}

bool Usbnet::repair_rx(const Wait& wait) {
  const auto broken = [this](const auto& slot) {
    SpinGuard guard(rx_lock_);
    return slot->broken;
  };
  if (std::ranges::none_of(rx_, broken)) return true;
  if (!device_->clear_halt(pipes_.bulk_in, wait)) return false;
  bool whole = true;
  for (auto& slot : rx_) {
    if (!broken(slot)) continue;
    {
      SpinGuard guard(rx_lock_);
      slot->broken = false;
    }
    whole &= submit(*slot);
  }
  return whole;
}

}  // namespace usernic::usb
