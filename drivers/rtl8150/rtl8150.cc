// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/rtl8150/rtl8150.h"

#include <algorithm>
#include <utility>

#include "bus/usbnet/until.h"
#include "drivers/rtl8150/framing.h"

namespace usernic {

using namespace rtl8150;

namespace {

// Whole packets: what is longer than a frame still ends in a buffer.
constexpr usb::Usbnet::Sizes kSizes{.rx_bytes = 1600, .tx_bytes = kFrameMax, .frame_max = kFrameMax};

// A hash that is empty passes nothing.
constexpr uint16_t rcr_of(bool promisc, bool allmulti) noexcept {
  return static_cast<uint16_t>(kRcrTail | kRcrHash | kRcrBroadcast | kRcrOwn | (promisc ? kRcrAllPhysical : 0) |
                               (promisc || allmulti ? kRcrAllmulti : 0));
}

// --- Registers ---

Result<> read(usb::Device& device, uint16_t address, std::span<uint8_t> octets, const StopToken& stop) {
  const usb::Setup setup{.request_type = kRequestRead, .request = kRequestRegisters, .value = address};
  const Result<uint32_t> got = device.control(setup, octets, {stop, Clock::now() + usb::kRequestMost});
  if (!got) return fail(got.error());
  return *got == octets.size() ? Result<>() : fail(std::errc::io_error);
}

Result<> write(usb::Device& device, uint16_t address, std::span<const uint8_t> octets, const StopToken& stop) {
  std::array<uint8_t, 8> data{};
  std::ranges::copy(octets, data.begin());
  const usb::Setup setup{.request_type = kRequestWrite, .request = kRequestRegisters, .value = address};
  const Result<uint32_t> put =
      device.control(setup, std::span(data).first(octets.size()), {stop, Clock::now() + usb::kRequestMost});
  return put ? Result<>() : fail(put.error());
}

Result<> write(usb::Device& device, uint16_t address, uint8_t octet, const StopToken& stop) {
  return write(device, address, {&octet, 1}, stop);
}

Result<> reset(usb::Device& device, const StopToken& stop) {
  if (const Result<> begun = write(device, kCr, kCrReset, stop); !begun) return begun;
  return usb::until(stop, [&]() -> Result<bool> {
    uint8_t command = kCrReset;
    if (const Result<> got = read(device, kCr, {&command, 1}, stop); !got) return fail(got.error());
    return (command & kCrReset) == 0;
  });
}

}  // namespace

bool Rtl8150::is_known(const usb::Identity& device) noexcept {
  return usb::is_one_of(device, kIds);
}

Result<NetdevPtr> Rtl8150::probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 std::unique_ptr<usb::Device> device, const usb::Wait& wait) {
  if (config.mtu > kMtuMax) return fail(std::errc::invalid_argument);
  config.mtu_max = std::min(config.mtu_max, kMtuMax);
  if (!is_known(usb::identity_of(device->descriptors()))) return fail(std::errc::not_supported);
  if (const Result<> set = device->set_configuration(kConfiguration, wait); !set) return fail(set.error());
  std::array<uint8_t, 6> own;
  const usb::Setup read_own{.request_type = kRequestRead, .request = kRequestRegisters, .value = kIdr};
  const Result<uint32_t> got = device->control(read_own, own, wait);
  if (!got) return fail(got.error());
  const MacAddress permanent = *got == own.size() ? MacAddress::from_bytes(own.data()) : MacAddress();
  if (config.address.is_zero() && permanent.is_valid_own()) config.address = permanent;
  return net.alloc_netdev<Rtl8150>(config, std::move(port), std::move(device));
}

Rtl8150::Rtl8150(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device)
    : dev_(dev), usbnet_(dev, *this, std::move(port), std::move(device), kSizes) {}

// --- Life ---

bool Rtl8150::takes(const usb::Device& device) const {
  return is_known(usb::identity_of(device.descriptors()));
}

Result<> Rtl8150::set_up(usb::Device& device, const StopToken& stop) {
  if (const Result<> set = device.set_configuration(kConfiguration, {stop, Clock::now() + usb::kRequestMost}); !set) {
    return set;
  }
  if (const Result<> done = reset(device, stop); !done) return done;
  hash_ = {};
  if (const Result<> done = write(device, kIdr, dev_.address().octets, stop); !done) return done;
  if (const Result<> done = write(device, kMar, hash_, stop); !done) return done;
  if (const Result<> done = set_accepted(device, false, false, stop); !done) return done;
  if (const Result<> done = write(device, kTcr, kTcrNormal, stop); !done) return done;
  uint8_t media = 0;
  if (const Result<> done = read(device, kMsr, {&media, 1}, stop); !done) return done;
  usbnet_.link_changed((media & kMsrLink) != 0);  // what changes from here on, an interrupt says
  return {};
}

Result<> Rtl8150::enable(usb::Device& device, const StopToken& stop) {
  return write(device, kCr, kCrReceive | kCrTransmit, stop);
}

void Rtl8150::disable(usb::Device& device, const StopToken& stop) {
  (void)write(device, kCr, 0, stop);  // a device that does not answer is left as it is
}

void Rtl8150::interrupt(std::span<const uint8_t> octets) noexcept {
  if (octets.size() > kInterruptMsr) usbnet_.link_changed((octets[kInterruptMsr] & kMsrLink) != 0);
}

// --- Frames ---

bool Rtl8150::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  return put_frame(block, frame);
}

bool Rtl8150::seal(usb::TxBlock&) noexcept {
  return true;  // the frame's end
}

bool Rtl8150::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  const auto frame = frame_in(octets);
  if (frame) frames.add(*frame);
  return frame.has_value();
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
  if (!usbnet_.started()) return fail(std::errc::no_such_device);
  usb::Device& device = *usbnet_.device();
  const bool on = command.kind == RxCommandKind::kWiden || command.kind == RxCommandKind::kSetBucket;
  switch (command.object) {
    case RxObject::kPromisc:
      return set_accepted(device, on, allmulti_, stop);
    case RxObject::kAllmulti:
      return set_accepted(device, promisc_, on, stop);
    case RxObject::kMulticast:
      return set_bucket(device, command.bucket, on, stop);
    default:
      return fail(std::errc::operation_not_supported);
  }
}

// What is known of a register changes when the chip has said yes; otherwise the same is written again.
Result<> Rtl8150::set_accepted(usb::Device& device, bool promisc, bool allmulti, const StopToken& stop) {
  const uint16_t accepted = rcr_of(promisc, allmulti);
  std::array<uint8_t, 2> octets;
  put_le16(octets, 0, accepted);
  if (const Result<> done = write(device, kRcr, octets, stop); !done) return done;
  promisc_ = promisc;
  allmulti_ = allmulti;
  return {};
}

Result<> Rtl8150::set_bucket(usb::Device& device, uint32_t bucket, bool on, const StopToken& stop) {
  auto hash = hash_;
  const auto bit = static_cast<uint8_t>(1u << bucket % 8);
  uint8_t& octet = hash[bucket / 8];
  octet = static_cast<uint8_t>(on ? octet | bit : octet & ~bit);
  if (const Result<> done = write(device, kMar, hash, stop); !done) return done;
  hash_ = hash;
  return {};
}

Result<> Rtl8150::set_mac_address(const MacAddress& address) {
  if (usbnet_.device() == nullptr) return fail(std::errc::no_such_device);
  return write(*usbnet_.device(), kIdr, address.octets, {});
}

}  // namespace usernic
