// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: the driver of USB network functions of a standard class: ECM, NCM and RNDIS.
//
//   frames, unplug and return: bus/usbnet           what differs between the three: protocol.h
//   interrupt IN -> notifications -> carrier, speed
//   set_rx_mode_async: the list of groups is written as a whole, as few times as the plan lets it be; a flag each
//
// No function of these classes has a unicast filter. Most cannot be told another own address: while that is not the
// permanent one, also after another adapter took the place of the first, the function is promiscuous.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "drivers/cdc/protocol.h"
#include "usernic/driver.h"

namespace usernic {

class Cdc final : private usb::Adapter {
 public:
  static constexpr uint32_t kMtuMax = cdc::kMtuMax;

  static bool is_known(const usb::Identity& identity) noexcept;
  // For the function that was opened at the port, a device that is not registered yet. Without an address it gets the
  // function's own. Errors: the bus'; not_supported: there is none of these classes; bad_message: it does not say what
  // it has to; invalid_argument: an MTU that is too large for it. Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 std::unique_ptr<usb::Device> device, const usb::Wait& wait);

  Cdc(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device,
      const cdc::Function& function, const cdc::Station& station);

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
  Result<> set_mac_address(const MacAddress& address);
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING { usbnet_.get_stats(stats); }

  // Towards the host, as the function last said; 0: it never did. Context: any.
  uint32_t bits_per_second() const noexcept { return bits_per_second_.load(); }

 private:
  // An address is six octets of a control transfer, and those have 4096 with some hosts.
  static constexpr uint32_t kMulticastsMax = 512;

  // usb::Adapter
  bool takes(const usb::Device& device) const override;
  Result<> set_up(usb::Device& device, const StopToken& stop) override;
  Pipes pipes() const override {
    return {function_.bulk_in, function_.bulk_out, function_.interrupt_in, function_.interrupt_packet};
  }
  Result<> enable(usb::Device& device, const StopToken& stop) override;
  void disable(usb::Device& device, const StopToken& stop) override;
  void later(usb::Device& device, const StopToken& stop) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;
  void interrupt(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING override;

  uint32_t list_max() const noexcept { return std::min(station_.multicasts, kMulticastsMax); }
  cdc::Control control(usb::Device& device, const StopToken& stop) const { return {device, function_.control, stop}; }
  void hear(const cdc::News& news) noexcept USERNIC_NONBLOCKING;
  Result<> set_own(cdc::Control& control, const MacAddress& address);
  Result<> execute(cdc::Control& control, const RxCommand& command);
  Result<> accept(cdc::Control& control, bool promisc, bool allmulti);
  class ListWriter;

  NetDevice& dev_;
  const cdc::Station station_;  // of the first; who returns must not be less
  // The lane's.
  cdc::Function function_;
  std::unique_ptr<cdc::Protocol> protocol_;
  MacAddress permanent_;
  bool foreign_own_ = false;                 // the function does not know the own address
  bool promisc_ = false, allmulti_ = false;  // what it accepts, as far as known
  bool filters_ = false;                     // it can be told what to pass
  std::vector<MacAddress> told_;             // the groups in its list
  std::vector<MacAddress> list_;             // and those that are to be
  Atomic<uint32_t> bits_per_second_{0};
  usb::Usbnet usbnet_;  // ends first: it calls the others
};

}  // namespace usernic
// Explained best by: drivers/cdc/cdc_test.cc
