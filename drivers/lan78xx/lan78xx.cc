// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/lan78xx.h"

#include <algorithm>
#include <string>
#include <utility>

#include "drivers/lan78xx/counters.h"
#include "drivers/lan78xx/framing.h"
#include "drivers/lan78xx/registers.h"

namespace usernic {

using namespace lan78xx;

namespace {

constexpr Duration kLookAgainAfter = std::chrono::milliseconds(50);
constexpr uint32_t kBulkInDelay = 0x0800;  // as [L] and [F]
constexpr uint8_t kPhys = 8;               // outside
// A transfer in is as long as a burst; one out fits in the chip.
constexpr usb::Usbnet::Sizes kSizes{.rx_bytes = kFifoBytes, .tx_bytes = kFifoBytes, .frame_max = kFrameMax};

bool is_known_device(const usb::Device& device) {
  return Lan78xx::is_known(usb::identity_of(device.descriptors()));
}

// Of bulk in.
uint32_t packet_bytes(usb::Speed speed) {
  return speed == usb::Speed::kSuper ? 1024 : speed == usb::Speed::kHigh ? 512 : 64;
}

// Everything but USB and the PHY is as after power on.
Result<> reset(Registers& chip) {
  if (const Result<> begun = chip.set(kHwCfg, kHwLiteReset); !begun) return begun;
  return chip.until(kHwCfg, kHwLiteReset, 0);
}

// Several frames in a transfer, none of them longer than a burst; the bus waits while there is none.
Result<> set_up_bursts(Registers& chip, usb::Speed speed) {
  if (const Result<> done = chip.write(kBurstCap, kFifoBytes / packet_bytes(speed)); !done) return done;
  if (const Result<> done = chip.write(kBulkInDly, kBulkInDelay); !done) return done;
  if (const Result<> done = chip.set(kUsbCfg0, kUsbNakWhenEmpty | kUsbBurstCap); !done) return done;
  return chip.set(kHwCfg, kHwManyFrames);
}

constexpr uint32_t mac_rx_of(uint32_t mtu, bool on) noexcept {
  return (frame_max(mtu) + kFcsBytes) << kMacRxMaxShift | (on ? kMacEnable : 0);
}

}  // namespace

bool Lan78xx::is_known(const usb::Identity& device) noexcept {
  return usb::is_one_of(device, kIds);
}

Result<NetdevPtr> Lan78xx::probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 std::unique_ptr<usb::Device> device, const usb::Wait& wait) {
  if (config.mtu > kMtuMax) return fail(std::errc::invalid_argument);
  config.mtu_max = std::min(config.mtu_max, kMtuMax);
  if (!is_known_device(*device)) return fail(std::errc::not_supported);
  if (const Result<> set = device->set_configuration(kConfiguration, wait); !set) return fail(set.error());
  Registers chip(*device, wait.stop);
  const Result<uint32_t> lo = chip.read(kRxAddrL);
  if (!lo) return fail(lo.error());
  const Result<uint32_t> hi = chip.read(kRxAddrH);
  if (!hi) return fail(hi.error());
  const MacAddress permanent = address_of(*hi, *lo);
  if (config.address.is_zero() && permanent.is_valid_own()) config.address = permanent;
  return net.alloc_netdev<Lan78xx>(config, std::move(port), std::move(device));
}

Lan78xx::Lan78xx(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device)
    : dev_(dev), usbnet_(dev, *this, std::move(port), std::move(device), kSizes) {}

// --- Life ---

bool Lan78xx::takes(const usb::Device& device) const {
  return is_known_device(device);
}

Result<> Lan78xx::set_up(usb::Device& device, const StopToken& stop) {
  const usb::Wait wait{stop, Clock::now() + usb::kRequestMost};
  if (const Result<> set = device.set_configuration(kConfiguration, wait); !set) return set;
  Registers chip(device, stop);
  if (const Result<> done = reset(chip); !done) return done;
  if (const Result<> done = filter_.begin(chip, dev_.address()); !done) return done;
  if (const Result<> done = set_up_bursts(chip, device.speed()); !done) return done;
  if (const Result<> done = chip.set(kMacCr, kMacAutoDuplex | kMacAutoSpeed); !done) return done;
  if (const Result<> done = find_phy(chip); !done) return done;
  Phy phy(chip, phy_);
  if (const Result<> done = usb::negotiate(phy); !done) return done;
  if (tells_link_) {
    if (const Result<> done = phy.write(kPhyIntMask, kPhyIntPin | kPhyIntLink); !done) return done;
  }
  if (const Result<> done = chip.write(kIntEpCtl, kIntPhy); !done) return done;
  return look_at_link(chip);  // what changes from here on, an interrupt says
}

// Inside there is one, at a place that is known; outside the first that answers.
Result<> Lan78xx::find_phy(Registers& chip) {
  const Result<uint32_t> id = chip.read(kIdRev);
  if (!id) return fail(id.error());
  const bool outside = *id >> 16 == 0x7801;
  for (phy_ = outside ? 0 : kPhyInside; phy_ < kPhys; ++phy_) {
    Phy phy(chip, phy_);
    const Result<uint16_t> high = phy.read(usb::mii::kIdHigh);
    if (!high) return fail(high.error());
    const Result<uint16_t> low = phy.read(usb::mii::kIdLow);
    if (!low) return fail(low.error());
    tells_link_ = *high == kPhyIdHigh && (*low & kPhyIdLowMask) == kPhyIdLow;
    if (!outside || (*high != 0xffff && *high != 0)) return {};
  }
  return fail(std::errc::no_such_device);
}

// The PHY's interrupt is over when its status was read, the chip's when it was said so.
Result<> Lan78xx::look_at_link(Registers& chip) {
  Phy phy(chip, phy_);
  if (tells_link_) {
    if (const Result<uint16_t> why = phy.read(kPhyIntStatus); !why) return fail(why.error());
  }
  if (const Result<> done = chip.write(kIntSts, kIntPhy); !done) return done;
  const Result<usb::MiiLink> link = usb::read_link(phy);
  if (!link) return fail(link.error());
  {
    MutexGuard guard(link_lock_);
    link_ = *link;
  }
  usbnet_.link_changed(link->up);
  return {};
}

void Lan78xx::interrupt(std::span<const uint8_t> octets) noexcept {
  if (octets.size() >= kInterruptBytes && (le32(octets, 0) & kIntPhy) != 0) usbnet_.call_later();
}

void Lan78xx::later(usb::Device& device, const StopToken& stop) {
  Registers chip(device, stop);
  if (!look_at_link(chip)) usbnet_.call_later(kLookAgainAfter);
}

Result<> Lan78xx::enable(usb::Device& device, const StopToken& stop) {
  Registers chip(device, stop);
  if (const Result<> done = chip.write(kMacTx, kMacEnable); !done) return done;
  if (const Result<> done = chip.write(kFctTxCtl, kFctEnable); !done) return done;
  if (const Result<> done = chip.write(kMacRx, mac_rx_of(dev_.mtu(), true)); !done) return done;
  return chip.write(kFctRxCtl, kFctEnable);
}

void Lan78xx::disable(usb::Device& device, const StopToken& stop) {
  Registers chip(device, stop);
  // A chip that does not answer is left as it is.
  (void)chip.write(kMacRx, mac_rx_of(dev_.mtu(), false));
  (void)chip.write(kFctRxCtl, 0);
  (void)chip.write(kFctTxCtl, 0);
  (void)chip.write(kMacTx, 0);
  MutexGuard guard(link_lock_);
  link_ = {};
}

// --- Frames ---

bool Lan78xx::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  return put_frame(block, frame);
}

bool Lan78xx::seal(usb::TxBlock&) noexcept {
  return true;
}

bool Lan78xx::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  RxReader reader(octets);
  while (const auto frame = reader.next()) frames.add(frame->octets, frame->sum);
  return reader.bad() == 0;
}

// --- Filter, address, MTU ---

uint32_t Lan78xx::rx_hash(AddressClass, const MacAddress& address) const {
  return bucket_of(address);
}

void Lan78xx::set_rx_mode_async(RxPlan& plan) {
  const StopToken stop = plan.stop();
  while (RxCommand* const command = plan.next()) {
    if (!usbnet_.started()) {
      plan.answer(*command, fail(std::errc::no_such_device));
      continue;
    }
    Registers chip(*usbnet_.device(), stop);
    plan.answer(*command, filter_.execute(chip, *command));
  }
}

Result<> Lan78xx::set_mac_address(const MacAddress& address) {
  if (usbnet_.device() == nullptr) return fail(std::errc::no_such_device);
  const StopToken nobody;
  Registers chip(*usbnet_.device(), nobody);
  const Result<> done = filter_.set_own(chip, address);
  if (!done) (void)filter_.set_own(chip, dev_.address());  // else it has half of either
  return done;
}

// The receiver is off while its limit changes [L].
Result<> Lan78xx::change_mtu(uint32_t mtu) {
  if (!usbnet_.started()) return {};
  const StopToken nobody;
  Registers chip(*usbnet_.device(), nobody);
  Result<> done = chip.write(kMacRx, mac_rx_of(dev_.mtu(), false));
  if (done) done = chip.write(kMacRx, mac_rx_of(mtu, false));
  if (done) done = chip.write(kMacRx, mac_rx_of(mtu, true));
  if (!done) (void)chip.write(kMacRx, mac_rx_of(dev_.mtu(), true));  // else it may be deaf
  return done;
}

// --- What it says of itself ---

Result<> Lan78xx::get_link_settings(LinkSettings& settings) {
  MutexGuard guard(link_lock_);
  settings = link_.settings;
  return {};
}

Result<> Lan78xx::get_ethtool_stats(std::vector<NamedCounter>& counters) {
  std::array<uint8_t, 4 * kCounterNames.size()> octets{};
  const Result<> read = usbnet_.off_lane([&](usb::Device& device) {
    const StopToken nobody;
    return Registers(device, nobody).read_counters(octets);
  });
  if (!read) return read;
  for (size_t n = 0; n < kCounterNames.size(); ++n) {
    counters.push_back({std::string(kCounterNames[n]), le32(octets, 4 * n)});
  }
  return {};
}

Result<> Lan78xx::mii_ioctl(MiiRequest& request) {
  if (!usbnet_.started()) return fail(std::errc::no_such_device);
  if (request.what == MiiRequest::What::kWhichPhy) {
    request.phy = phy_;
    return {};
  }
  const StopToken nobody;
  Registers chip(*usbnet_.device(), nobody);
  Phy phy(chip, static_cast<uint8_t>(request.phy));
  const auto mii_register = static_cast<uint8_t>(request.register_);
  if (request.what == MiiRequest::What::kWrite) return phy.write(mii_register, request.value);
  const Result<uint16_t> value = phy.read(mii_register);
  if (!value) return fail(value.error());
  request.value = *value;
  return {};
}

}  // namespace usernic
