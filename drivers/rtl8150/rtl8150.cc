// SPDX-License-Identifier: Apache-2.0 OR MIT
// Life, link and filter of the driver. Frames are in rtl8150_frames.cc.
#include "drivers/rtl8150/rtl8150.h"

#include <algorithm>
#include <new>
#include <utility>

namespace usernic {

using namespace rtl8150;

namespace {

constexpr Duration kCommandMost = std::chrono::seconds(1);  // a control transfer [L]
constexpr Duration kOpenMost = std::chrono::seconds(5);
constexpr Duration kRepairAfter = std::chrono::milliseconds(10);
constexpr Duration kResetLook = std::chrono::milliseconds(1);
constexpr int kResetLooks = 100;

// A hash that is empty passes nothing.
constexpr uint16_t rcr_of(bool promisc, bool allmulti) noexcept {
  return static_cast<uint16_t>(kRcrTail | kRcrHash | kRcrBroadcast | kRcrOwn | (promisc ? kRcrAllPhysical : 0) |
                               (promisc || allmulti ? kRcrAllmulti : 0));
}

}  // namespace

bool Rtl8150::takes(uint16_t vendor, uint16_t product) noexcept {
  return std::ranges::any_of(kIds, [&](const UsbId& id) { return id.vendor == vendor && id.product == product; });
}

Result<NetdevPtr> Rtl8150::probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 const usb::Wait& wait) {
  if (config.mtu > kMtuMax) return fail(std::errc::invalid_argument);
  config.mtu_max = std::min(config.mtu_max, kMtuMax);
  Result<std::unique_ptr<usb::Device>> device = port->open(wait);
  if (!device) return fail(device.error());
  if (const usb::Descriptors& is = (*device)->descriptors(); !takes(is.vendor, is.product))
    return fail(std::errc::not_supported);
  if (const Result<> set = (*device)->set_configuration(kConfiguration, wait); !set) return fail(set.error());
  std::array<uint8_t, 6> own;
  const usb::Setup read_own{.request_type = kRequestRead, .request = kRequestRegisters, .value = kIdr};
  const Result<uint32_t> got = (*device)->control(read_own, own, wait);
  if (!got) return fail(got.error());
  const MacAddress permanent = *got == own.size() ? MacAddress::from_bytes(own.data()) : MacAddress();
  if (config.address.is_zero() && permanent.is_valid_own()) config.address = permanent;
  return net.alloc_netdev<Rtl8150>(config, std::move(port), *std::move(device));
}

Rtl8150::Rtl8150(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device)
    : dev_(dev),
      lane_(dev.lane()),
      port_(std::move(port)),
      device_(std::move(device)),
      napi_(dev, *this),
      unplug_work_([this] { unplugged(); }, &dev),
      look_work_([this] { look_for_it(); }, &dev),
      return_work_([this] { returned(); }, &dev),
      repair_work_([this] { repair(); }, &dev),
      pool_(4 * kRxTransfers, kRxBytes) {
  for (auto& slot : rx_) slot = std::make_unique<RxSlot>(*this);
  for (auto& slot : tx_) {
    slot = std::make_unique<TxSlot>(*this);
    slot->transfer.endpoint = kBulkOut;
    put_free(*slot);
  }
  interrupt_.endpoint = kInterruptIn;
  interrupt_.data = interrupt_data_;
}

Rtl8150::~Rtl8150() {
  // A work that was queued before uninit may still be on its way, and the bus may queue one until it is closed.
  for (Work* work : {&unplug_work_, &look_work_, &return_work_, &repair_work_}) work->cancel_sync();
  device_ = nullptr;
  for (Work* work : {&unplug_work_, &look_work_, &return_work_, &repair_work_}) work->cancel_sync();
  for (auto& slot : rx_) {
    if (slot->skb != nullptr) SkbPool::free(*slot->skb);
  }
}

Result<> Rtl8150::init() {
  dev_.carrier_off();
  device_->watch(&Rtl8150::on_unplugged, this);
  return {};
}

void Rtl8150::uninit() {
  end_.request_stop();
  for (Work* work : {&unplug_work_, &look_work_, &return_work_, &repair_work_}) work->cancel();
}

// --- Registers ---

Result<> Rtl8150::read(uint16_t address, std::span<uint8_t> octets, const StopToken& stop) {
  const usb::Setup setup{.request_type = kRequestRead, .request = kRequestRegisters, .value = address};
  const Result<uint32_t> got = device_->control(setup, octets, {stop, Clock::now() + kCommandMost});
  if (!got) return fail(got.error());
  return *got == octets.size() ? Result<>() : fail(std::errc::io_error);
}

Result<> Rtl8150::write(uint16_t address, std::span<const uint8_t> octets, const StopToken& stop) {
  std::array<uint8_t, 8> data{};
  std::ranges::copy(octets, data.begin());
  const usb::Setup setup{.request_type = kRequestWrite, .request = kRequestRegisters, .value = address};
  const Result<uint32_t> put =
      device_->control(setup, std::span(data).first(octets.size()), {stop, Clock::now() + kCommandMost});
  return put ? Result<>() : fail(put.error());
}

Result<> Rtl8150::reset(const StopToken& stop) {
  if (const Result<> begun = write(kCr, kCrReset, stop); !begun) return begun;
  for (int look = 0; look < kResetLooks; ++look) {
    uint8_t command = kCrReset;
    if (const Result<> got = read(kCr, {&command, 1}, stop); !got) return got;
    if ((command & kCrReset) == 0) return {};
    if (stop.wait_until(Clock::now() + kResetLook)) return fail(std::errc::operation_canceled);
  }
  return fail(std::errc::timed_out);
}

// --- Open and stop ---

Result<> Rtl8150::open() {
  if (device_ == nullptr) return fail(std::errc::no_such_device);
  const Result<> started = start({});
  up_ = started.has_value();
  if (up_) dev_.tx_queue(0).start();
  return started;
}

void Rtl8150::stop() {
  up_ = false;
  quiesce({});
  dev_.carrier_off();
}

// From power on, or from whatever state, to a receiver that passes own address and broadcast.
Result<> Rtl8150::start(const StopToken& stop) {
  const auto failed = [&](std::errc error) {
    quiesce(stop);
    return fail(error);
  };
  if (const Result<> set = device_->set_configuration(kConfiguration, {stop, Clock::now() + kCommandMost}); !set) {
    return set;
  }
  if (const Result<> done = reset(stop); !done) return done;
  hash_ = {};
  if (const Result<> done = write(kIdr, dev_.address().octets, stop); !done) return done;
  if (const Result<> done = write(kMar, hash_, stop); !done) return done;
  if (const Result<> done = set_accepted(false, false, stop); !done) return done;
  if (const Result<> done = write(kTcr, kTcrNormal, stop); !done) return done;
  uint8_t media = 0;
  if (const Result<> done = read(kMsr, {&media, 1}, stop); !done) return done;
  link_changed((media & kMsrLink) != 0);  // what changes from here on, an interrupt says
  napi_.enable();
  started_.store(true);
  if (const Result<> done = submit_all(); !done) return failed(done.error());
  if (const Result<> done = write(kCr, kCrReceive | kCrTransmit, stop); !done) return failed(done.error());
  return {};
}

// Nothing is received or sent any more, and nothing is in flight. The other half of `start`.
void Rtl8150::quiesce(const StopToken& stop) {
  if (!started_.exchange(false)) return;
  if (!device_->gone()) (void)write(kCr, 0, stop);  // a device that does not answer is left as it is
  napi_.disable();
  device_->kill(interrupt_);
  for (auto& slot : rx_) device_->kill(slot->transfer);
  for (auto& slot : tx_) device_->kill(slot->transfer);
  SpinGuard guard(rx_lock_);
  done_first_ = done_last_ = nullptr;
  for (auto& slot : rx_) slot->broken = false;
}

Result<> Rtl8150::submit_all() {
  tx_stalled_.store(false);
  interrupt_broken_.store(false);
  for (auto& slot : rx_) {
    if (slot->skb == nullptr && !give_buffer(*slot)) return fail(std::errc::not_enough_memory);
    if (!submit(*slot)) return fail(std::errc::no_such_device);
  }
  return device_->submit(interrupt_);
}

// --- Filter ---

RxFilterCaps Rtl8150::rx_filter_caps() const {
  return {.multicast_hash_buckets = kBuckets, .promisc = true, .allmulti = true};
}

uint32_t Rtl8150::rx_hash(AddressClass, const MacAddress& address) const {
  return bucket_of(address);
}

void Rtl8150::set_rx_mode_async(RxPlan& plan) {
  while (RxCommand* const command = plan.next()) plan.answer(*command, execute(*command, plan.stop()));
}

Result<> Rtl8150::execute(const RxCommand& command, const StopToken& stop) {
  if (!started_) return fail(std::errc::no_such_device);
  const bool on = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kSetBucket;
  switch (command.object) {
    case RxObject::kPromisc:
      return set_accepted(on, allmulti_, stop);
    case RxObject::kAllmulti:
      return set_accepted(promisc_, on, stop);
    case RxObject::kMulticast:
      return set_bucket(command.bucket, on, stop);
    default:
      return fail(std::errc::operation_not_supported);
  }
}

// What is known of a register changes when the chip has said yes; otherwise the same is written again.
Result<> Rtl8150::set_accepted(bool promisc, bool allmulti, const StopToken& stop) {
  const uint16_t accepted = rcr_of(promisc, allmulti);
  const uint8_t octets[] = {static_cast<uint8_t>(accepted), static_cast<uint8_t>(accepted >> 8)};
  if (const Result<> done = write(kRcr, octets, stop); !done) return done;
  promisc_ = promisc;
  allmulti_ = allmulti;
  return {};
}

Result<> Rtl8150::set_bucket(uint32_t bucket, bool on, const StopToken& stop) {
  auto hash = hash_;
  const auto bit = static_cast<uint8_t>(1u << bucket % 8);
  uint8_t& octet = hash[bucket / 8];
  octet = static_cast<uint8_t>(on ? octet | bit : octet & ~bit);
  if (const Result<> done = write(kMar, hash, stop); !done) return done;
  hash_ = hash;
  return {};
}

Result<> Rtl8150::set_mac_address(const MacAddress& address) {
  if (device_ == nullptr) return fail(std::errc::no_such_device);
  return write(kIdr, address.octets, {});
}

// --- Link, unplug, return ---

void Rtl8150::on_interrupt(void* self, usb::Transfer& transfer) noexcept {
  auto& driver = *static_cast<Rtl8150*>(self);
  if (transfer.result && *transfer.result > kInterruptMsr) {
    driver.link_changed((driver.interrupt_data_[kInterruptMsr] & kMsrLink) != 0);
  }
  const std::errc error = transfer.result ? std::errc{} : transfer.result.error();
  if (error == std::errc::operation_canceled || error == std::errc::no_such_device) return;
  if (error == std::errc{} && driver.device_->submit(transfer)) return;
  driver.interrupt_broken_.store(true);
  driver.lane_.queue_at(driver.repair_work_, Clock::now() + kRepairAfter);
}

void Rtl8150::link_changed(bool up) noexcept {
  up ? dev_.carrier_on() : dev_.carrier_off();
}

void Rtl8150::on_unplugged(void* self) noexcept {
  auto& driver = *static_cast<Rtl8150*>(self);
  if (driver.ending_.stop_requested()) return;
  driver.dev_.carrier_off();
  driver.lane_.queue(driver.unplug_work_);
}

void Rtl8150::unplugged() {
  if (ending_.stop_requested() || device_ == nullptr || !device_->gone()) return;
  (void)dev_.detach();  // nobody sends from here on
  quiesce({});
  dev_.carrier_off();
  device_ = nullptr;
  look_later();
}

void Rtl8150::look_later() {
  dev_.net().system_workqueue().queue_at(look_work_, Clock::now() + port_->look_again());
}

// Is it, or its like, back? Not on the lane: whoever parks that again and again, who opens the device until it works,
// would end each look.
void Rtl8150::look_for_it() {
  if (ending_.stop_requested()) return;
  Result<std::unique_ptr<usb::Device>> opened = port_->open({ending_, Clock::now() + kOpenMost});
  if (!opened || !takes((*opened)->descriptors().vendor, (*opened)->descriptors().product)) return look_later();
  found_ = *std::move(opened);
  lane_.queue(return_work_);
}

// Then everything is as it was: the core programs the filter after attach.
void Rtl8150::returned() {
  if (ending_.stop_requested()) return;
  device_ = std::move(found_);
  if (up_ && !start({})) {
    device_ = nullptr;
    return look_later();
  }
  (void)dev_.attach();
  device_->watch(&Rtl8150::on_unplugged, this);
}

// After a stall, or an error of the bus: the endpoint is cleared, and what it ended is submitted again.
void Rtl8150::repair() {
  if (!started_ || device_->gone()) return;
  const usb::Wait wait{current_stop_token(), Clock::now() + kCommandMost};
  bool again = false;
  if (tx_stalled_.exchange(false) && !device_->clear_halt(kBulkOut, wait)) {
    tx_stalled_.store(true);
    again = true;
  }
  if (interrupt_broken_.exchange(false)) {
    const bool cleared = device_->clear_halt(kInterruptIn, wait) && device_->submit(interrupt_);
    interrupt_broken_.store(!cleared);
    again |= !cleared;
  }
  const auto broken = [this](const auto& slot) {
    SpinGuard guard(rx_lock_);
    return slot->broken;
  };
  if (std::ranges::any_of(rx_, broken)) {
    const bool cleared = device_->clear_halt(kBulkIn, wait).has_value();
    for (auto& slot : rx_) {
      if (!cleared || !broken(slot)) continue;
      {
        SpinGuard guard(rx_lock_);
        slot->broken = false;
      }
      again |= !submit(*slot);
    }
    again |= !cleared;
  }
  if (again) lane_.queue_at(repair_work_, Clock::now() + kRepairAfter);
}

}  // namespace usernic
