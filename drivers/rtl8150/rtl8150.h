// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: the driver of Realtek's USB 1.1 Fast Ethernet adapter.
//
//   frames, unplug and return: bus/usbnet       interrupt IN -> link -> carrier
//   a frame, padded, is a transfer out           a transfer in is a frame and a trailer
//   set_rx_mode_async: one control transfer a command
//
// The chip has no unicast filter besides the own address; a hash of 64 buckets for multicasts.
#pragma once

#include <array>
#include <memory>

#include "bus/usbnet/usbnet.h"
#include "drivers/rtl8150/regs.h"
#include "usernic/driver.h"

namespace usernic {

class Rtl8150 final : private usb::Adapter {
 public:
  static constexpr uint32_t kMtuMax = rtl8150::kMtuMax;

  static bool is_known(const usb::Identity& device) noexcept;
  // For the adapter that was opened at the port, a device that is not registered yet. Without an address it gets the
  // adapter's own. Errors: the bus'; not_supported: another kind of device; invalid_argument: an MTU that is too large.
  // Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 std::unique_ptr<usb::Device> device, const usb::Wait& wait);

  Rtl8150(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device);

  // The netdevice ops [include/usernic/driver.h].
  Result<> init() { return usbnet_.init(); }
  void uninit() { usbnet_.uninit(); }
  Result<> open() { return usbnet_.open(); }
  void stop() { usbnet_.stop(); }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    return usbnet_.start_xmit(skb, queue, more);
  }
  RxFilterCaps rx_filter_caps() const;
  void set_rx_mode_async(RxPlan& plan);
  uint32_t rx_hash(AddressClass address_class, const MacAddress& address) const;
  Result<> set_mac_address(const MacAddress& address);
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING { usbnet_.get_stats(stats); }

 private:
  // usb::Adapter
  bool takes(const usb::Device& device) const override;
  Result<> set_up(usb::Device& device, const StopToken& stop) override;
  Pipes pipes() const override {
    return {rtl8150::kBulkIn, rtl8150::kBulkOut, rtl8150::kInterruptIn, rtl8150::kInterruptBytes};
  }
  Result<> enable(usb::Device& device, const StopToken& stop) override;
  void disable(usb::Device& device, const StopToken& stop) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;
  void interrupt(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING override;

  Result<> execute(const RxCommand& command, const StopToken& stop);
  Result<> set_accepted(usb::Device& device, bool promisc, bool allmulti, const StopToken& stop);
  Result<> set_bucket(usb::Device& device, uint32_t bucket, bool on, const StopToken& stop);

  NetDevice& dev_;
  // The lane's.
  bool promisc_ = false, allmulti_ = false;  // what kRcr and kMar hold, as far as known
  std::array<uint8_t, rtl8150::kBuckets / 8> hash_{};
  usb::Usbnet usbnet_;  // ends first: it calls the others
};

}  // namespace usernic
// Explained best by: drivers/rtl8150/rtl8150_test.cc
