// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the driver of Microchip's LAN7800, LAN7801 and LAN7850, USB to gigabit Ethernet.
//
//   frames, unplug and return: bus/usbnet      interrupt IN -> later: the PHY's link -> carrier
//   several frames are a transfer, either way   set_rx_mode_async: some transfers a command (filter.h)
//
// The chip looks at the sums of what it receives. Its PHY is behind MII behind a register: what it says is asked for on
// the lane, and remembered for who asks elsewhere.
#pragma once

#include <memory>
#include <vector>

#include "bus/usbnet/usbnet.h"
#include "drivers/lan78xx/filter.h"
#include "drivers/lan78xx/regs.h"
#include "usernic/driver.h"
#include "usernic/ethtool.h"
#include "usernic/ioctl.h"

namespace usernic {

class Lan78xx final : private usb::Adapter {
 public:
  static constexpr uint32_t kMtuMax = lan78xx::kMtuMax;

  static bool is_known(const usb::Identity& device) noexcept;
  // For the adapter that was opened at the port, a device that is not registered yet. Without an address it gets the
  // adapter's own. Errors: the bus'; not_supported: another kind of device; invalid_argument: an MTU that is too large.
  // Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port,
                                 std::unique_ptr<usb::Device> device, const usb::Wait& wait);

  Lan78xx(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device);

  // The netdevice ops [include/usernic/driver.h].
  Result<> init() { return usbnet_.init(); }
  void uninit() { usbnet_.uninit(); }
  Result<> open() { return usbnet_.open(); }
  void stop() { usbnet_.stop(); }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    return usbnet_.start_xmit(skb, queue, more);
  }
  RxFilterCaps rx_filter_caps() const { return lan78xx::Filter::kCaps; }
  void set_rx_mode_async(RxPlan& plan);
  uint32_t rx_hash(AddressClass address_class, const MacAddress& address) const;
  Result<> set_mac_address(const MacAddress& address);
  Result<> change_mtu(uint32_t mtu);
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING { usbnet_.get_stats(stats); }
  Result<> get_link_settings(LinkSettings& settings);
  Result<> get_ethtool_stats(std::vector<NamedCounter>& counters);
  Result<> mii_ioctl(MiiRequest& request);

 private:
  // usb::Adapter
  bool takes(const usb::Device& device) const override;
  Result<> set_up(usb::Device& device, const StopToken& stop) override;
  Pipes pipes() const override {
    return {lan78xx::kBulkIn, lan78xx::kBulkOut, lan78xx::kInterruptIn, lan78xx::kInterruptBytes};
  }
  Result<> enable(usb::Device& device, const StopToken& stop) override;
  void disable(usb::Device& device, const StopToken& stop) override;
  void later(usb::Device& device, const StopToken& stop) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;
  void interrupt(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING override;

  Result<> find_phy(lan78xx::Registers& chip);
  Result<> look_at_link(lan78xx::Registers& chip);

  NetDevice& dev_;
  // The lane's.
  lan78xx::Filter filter_;
  uint8_t phy_ = lan78xx::kPhyInside;
  bool tells_link_ = false;  // a PHY whose interrupt is known
  // As it was last seen.
  static constexpr LockClass kLinkClass{"lan78xx_link"};
  Mutex link_lock_{kLinkClass};
  usb::MiiLink link_ USERNIC_GUARDED_BY(link_lock_);
  usb::Usbnet usbnet_;  // ends first: it calls the others
};

}  // namespace usernic
// Explained best by: drivers/lan78xx/lan78xx_test.cc
