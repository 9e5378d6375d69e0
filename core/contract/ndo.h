// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the one way to a driver's op.
//
//   call_ndo<Ndo::kOpen>(dev)                          one call
//   NdoCall<Ndo::kStartXmit> start_xmit(dev, &lock);   a batch of calls in one scope
//
// An op that the driver does not have is answered as its row of the contract says. While checks are on, each scope
// asserts the row: that the core holds the locks it promises and is in the op's context; that the driver answers what
// it may, and leaves locks and contexts as it found them. Off, a scope is one predictable branch.
#pragma once

#include <new>
#include <type_traits>

#include "core/contract/ndo_device.h"
#include "core/contract/verifier.h"
#include "usernic/contract.h"

namespace usernic {

// One on the stack while an op runs. `spin`: the xmit lock or addr_list_lock that the row promises.
class NdoScope {
 public:
  NdoScope(const NdoDevice& dev, Ndo ndo, const SpinLock* spin = nullptr, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING : reports_(dev.dev),
                            dev_(dev),
                            row_(row_of(ndo)) {
    if (kChecksOn) [[unlikely]]
      enter(spin, where);
  }
  ~NdoScope() USERNIC_NONBLOCKING {
    if (kChecksOn) [[unlikely]]
      leave();
  }
  NdoScope(const NdoScope&) = delete;
  NdoScope& operator=(const NdoScope&) = delete;

 protected:
  // Reports an answer that the row does not have.
  void bad_answer(int answer) const noexcept USERNIC_NONBLOCKING;
  // Reports the exception that is being handled.
  void threw() const noexcept;

 private:
  void enter(const SpinLock* spin, Place where) noexcept USERNIC_NONBLOCKING;
  void leave() noexcept USERNIC_NONBLOCKING;

  const ReportsOn reports_;
  const NdoDevice& dev_;
  const NdoRow& row_;
  size_t depth_ = 0;  // of locks and contexts, as the op finds them
  Place where_;
  const char* outer_op_ = nullptr;
};

// Where the table has each op. A NAPI instance brings its poll itself.
template <Ndo kNdo>
inline constexpr auto kNdoMember = nullptr;
template <>
inline constexpr auto kNdoMember<Ndo::kInit> = &NetDeviceOps::init;
template <>
inline constexpr auto kNdoMember<Ndo::kUninit> = &NetDeviceOps::uninit;
template <>
inline constexpr auto kNdoMember<Ndo::kOpen> = &NetDeviceOps::open;
template <>
inline constexpr auto kNdoMember<Ndo::kStop> = &NetDeviceOps::stop;
template <>
inline constexpr auto kNdoMember<Ndo::kSelectQueue> = &NetDeviceOps::select_queue;
template <>
inline constexpr auto kNdoMember<Ndo::kPollController> = &NetDeviceOps::poll_controller;
template <>
inline constexpr auto kNdoMember<Ndo::kStartXmit> = &NetDeviceOps::start_xmit;
template <>
inline constexpr auto kNdoMember<Ndo::kRxFilterCaps> = &NetDeviceOps::rx_filter_caps;
template <>
inline constexpr auto kNdoMember<Ndo::kUnicastFilter> = &NetDeviceOps::unicast_filter;
template <>
inline constexpr auto kNdoMember<Ndo::kSetRxModeAsync> = &NetDeviceOps::set_rx_mode_async;
template <>
inline constexpr auto kNdoMember<Ndo::kPrepareRxMode> = &NetDeviceOps::prepare_rx_mode;
template <>
inline constexpr auto kNdoMember<Ndo::kWriteRxMode> = &NetDeviceOps::write_rx_mode;
template <>
inline constexpr auto kNdoMember<Ndo::kSetRxMode> = &NetDeviceOps::set_rx_mode;
template <>
inline constexpr auto kNdoMember<Ndo::kSetRxModeKernel> = &NetDeviceOps::set_rx_mode_kernel;
template <>
inline constexpr auto kNdoMember<Ndo::kVlanRxAddVid> = &NetDeviceOps::vlan_rx_add_vid;
template <>
inline constexpr auto kNdoMember<Ndo::kVlanRxKillVid> = &NetDeviceOps::vlan_rx_kill_vid;
template <>
inline constexpr auto kNdoMember<Ndo::kChangeRxFlags> = &NetDeviceOps::change_rx_flags;
template <>
inline constexpr auto kNdoMember<Ndo::kChangeMtu> = &NetDeviceOps::change_mtu;
template <>
inline constexpr auto kNdoMember<Ndo::kSetMacAddress> = &NetDeviceOps::set_mac_address;
template <>
inline constexpr auto kNdoMember<Ndo::kChangeCarrier> = &NetDeviceOps::change_carrier;
template <>
inline constexpr auto kNdoMember<Ndo::kHwFeatures> = &NetDeviceOps::hw_features;
template <>
inline constexpr auto kNdoMember<Ndo::kFixFeatures> = &NetDeviceOps::fix_features;
template <>
inline constexpr auto kNdoMember<Ndo::kSetFeatures> = &NetDeviceOps::set_features;
template <>
inline constexpr auto kNdoMember<Ndo::kGetStats> = &NetDeviceOps::get_stats;

template <>
inline constexpr auto kNdoMember<Ndo::kValidateAddr> = &NetDeviceOps::validate_addr;
template <>
inline constexpr auto kNdoMember<Ndo::kTxTimeout> = &NetDeviceOps::tx_timeout;
template <>
inline constexpr auto kNdoMember<Ndo::kWork> = &NetDeviceOps::work;
template <>
inline constexpr auto kNdoMember<Ndo::kPrivateIoctl> = &NetDeviceOps::private_ioctl;
template <>
inline constexpr auto kNdoMember<Ndo::kMiiIoctl> = &NetDeviceOps::mii_ioctl;
template <>
inline constexpr auto kNdoMember<Ndo::kGetDrvinfo> = &NetDeviceOps::get_drvinfo;
template <>
inline constexpr auto kNdoMember<Ndo::kGetLinkSettings> = &NetDeviceOps::get_link_settings;
template <>
inline constexpr auto kNdoMember<Ndo::kGetRingparam> = &NetDeviceOps::get_ringparam;
template <>
inline constexpr auto kNdoMember<Ndo::kGetCoalesce> = &NetDeviceOps::get_coalesce;
template <>
inline constexpr auto kNdoMember<Ndo::kSetCoalesce> = &NetDeviceOps::set_coalesce;
template <>
inline constexpr auto kNdoMember<Ndo::kGetEthtoolStats> = &NetDeviceOps::get_ethtool_stats;
template <>
inline constexpr auto kNdoMember<Ndo::kGetRegs> = &NetDeviceOps::get_regs;

template <Ndo kNdo>
bool has_ndo(const NdoDevice& dev) noexcept USERNIC_NONBLOCKING {
  return dev.ops.*kNdoMember<kNdo> != nullptr;
}

template <Ndo kNdo>
class NdoCall : public NdoScope {
  static constexpr NdoRow kRow = row_of(kNdo);

 public:
  explicit NdoCall(const NdoDevice& dev, const SpinLock* spin = nullptr, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING : NdoScope(dev, kNdo, spin, where),
                            dev_(dev) {}

  // Requires: the driver has the op. What it throws, but for a lack of memory, is a report, and EIO.
  template <class... Args>
  auto operator()(Args&&... args) const requires(kRow.context == NdoContext::kProcess) {
    using Answer = decltype((dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...));
    try {
      if constexpr (sizeof...(Args) != 0) {
        if (kVerifierOn) [[unlikely]]
          return call(LentArgument<std::remove_reference_t<Args>>(dev_.dev, kRow.op.data(), args).get()...);
      }
      return call(args...);
    } catch (const std::bad_alloc&) {
      return without_memory<Answer>();
    } catch (...) {
      threw();
      return failed<Answer>();
    }
  }
  template <class... Args>
  auto operator()(Args&&... args) const noexcept USERNIC_NONBLOCKING requires(kRow.context != NdoContext::kProcess) {
    if constexpr (std::is_void_v<decltype((dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...))>) {
      (dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...);
    } else {
      return checked((dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...));
    }
  }
  // What counts as the answer of a driver without it.
  template <class Answer>
  static Answer absent() noexcept USERNIC_NONBLOCKING {
    if constexpr (std::is_same_v<Answer, Result<>>) {
      if (kRow.absent == NdoAbsent::kNotSupported) return fail(std::errc::operation_not_supported);
    }
    return Answer();
  }

 private:
  template <class... Args>
  auto call(Args&&... args) const {
    if constexpr (std::is_void_v<decltype((dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...))>) {
      (dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...);
    } else {
      return checked((dev_.ops.*kNdoMember<kNdo>)(dev_.driver, args...));
    }
  }
  Result<> checked(Result<> answer) const noexcept USERNIC_NONBLOCKING {
    if (kChecksOn && !answer && static_cast<int>(answer.error()) <= 0) [[unlikely]]
      bad_answer(static_cast<int>(answer.error()));
    return answer;
  }
  NetdevTx checked(NetdevTx answer) const noexcept USERNIC_NONBLOCKING {
    if (kChecksOn && answer != NetdevTx::kOk && answer != NetdevTx::kBusy && answer != NetdevTx::kDropped &&
        answer != NetdevTx::kLocked) [[unlikely]]
      bad_answer(static_cast<int>(answer));
    return answer;
  }
  int checked(int answer) const noexcept USERNIC_NONBLOCKING {
    if (kChecksOn && (answer > 0 || answer < -kErrnoMax)) [[unlikely]]
      bad_answer(answer);
    return answer;
  }
  static RxFilterCaps checked(RxFilterCaps answer) noexcept { return answer; }
  static bool checked(bool answer) noexcept { return answer; }
  static uint16_t checked(uint16_t answer) noexcept USERNIC_NONBLOCKING { return answer; }
  static Features checked(Features answer) noexcept { return answer; }
  // An op that finds no memory has refused. One that cannot refuse is called again by its work item, but for those that
  // are called once: they have done what they could.
  template <class Answer>
  static Answer without_memory() {
    if constexpr (std::is_same_v<Answer, Result<>>) return fail(std::errc::not_enough_memory);
    if constexpr (std::is_same_v<Answer, int>) return -static_cast<int>(std::errc::not_enough_memory);
    if constexpr (kNdo == Ndo::kStop || kNdo == Ndo::kUninit) return Answer();
    throw;
  }
  template <class Answer>
  static Answer failed() noexcept {
    if constexpr (std::is_same_v<Answer, Result<>>) return fail(std::errc::io_error);
    if constexpr (std::is_same_v<Answer, int>) return -static_cast<int>(std::errc::io_error);
    if constexpr (!std::is_void_v<Answer>) return Answer();
  }

  static constexpr int kErrnoMax = 4095;
  const NdoDevice& dev_;
};

// One call in a scope of its own, if the driver has the op.
template <Ndo kNdo, class... Args>
auto call_ndo(const NdoDevice& dev, Args&&... args) requires(row_of(kNdo).context == NdoContext::kProcess) {
  using Answer = decltype((dev.ops.*kNdoMember<kNdo>)(dev.driver, args...));
  if (!has_ndo<kNdo>(dev)) return NdoCall<kNdo>::template absent<Answer>();
  const NdoCall<kNdo> call(dev);
  return call(args...);
}
template <Ndo kNdo, class... Args>
auto call_ndo(const NdoDevice& dev, Args&&... args) noexcept
    USERNIC_NONBLOCKING requires(row_of(kNdo).context != NdoContext::kProcess) {
  using Answer = decltype((dev.ops.*kNdoMember<kNdo>)(dev.driver, args...));
  if (!has_ndo<kNdo>(dev)) return NdoCall<kNdo>::template absent<Answer>();
  const NdoCall<kNdo> call(dev);
  return call(args...);
}

}  // namespace usernic
