// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the four styles in which a driver may program its RX filter. It has one; docs/driver-styles.md says which.
//
//   plan       void set_rx_mode_async(RxPlan&), with rx_filter_caps
//   image      Result<> prepare_rx_mode(const RxLists&, RxModeImage&) + Result<> write_rx_mode(const RxModeImage&)
//   legacy     void set_rx_mode(const RxLists&)
//   kernel's   int set_rx_mode_async(NetDevice* dev, HwAddrList* uc, HwAddrList* mc)
//
// Two styles, or half of one, do not compile. Beside the last two a driver may be told of each VLAN id by a call, as of
// the kernel's filter, vlan_rx_add_vid and vlan_rx_kill_vid, before the call that shows the lists. Such a filter is
// always on. An id without room goes deaf until fewer are wanted; one that fails is tried again, each alone.
// [kernel: ndo_vlan_rx_add_vid, NETIF_F_HW_VLAN_CTAG_FILTER]
#pragma once

#include <concepts>

#include "usernic/error.h"
#include "usernic/rx_filter.h"
#include "usernic/rx_image.h"

namespace usernic {

struct HwAddrList;
struct NetDevice;
class RxLists;

template <class D>
concept PlanStyle = requires(D& d, RxPlan& plan) {
  { d.set_rx_mode_async(plan) } -> std::same_as<void>;
};
template <class D>
concept KernelStyle = requires(D& d, NetDevice* dev, HwAddrList* list) {
  { d.set_rx_mode_async(dev, list, list) } -> std::same_as<int>;
};
template <class D>
concept LegacyStyle = requires(D& d, const RxLists& lists) {
  { d.set_rx_mode(lists) } -> std::same_as<void>;
};
template <class D>
concept ImageStyle = requires(D& d, const RxLists& lists, typename D::RxModeImage& image) {
  { d.prepare_rx_mode(lists, image) } -> std::same_as<Result<>>;
  { d.write_rx_mode(static_cast<const typename D::RxModeImage&>(image)) } -> std::same_as<Result<>>;
};

template <class D>
constexpr void check_rx_style() {
  constexpr bool has_prepare = requires {
    &D::prepare_rx_mode;
  }
  || ImageStyle<D>;  // the address of an overloaded one says nothing
  constexpr bool has_write = requires {
    &D::write_rx_mode;
  }
  || ImageStyle<D>;
  constexpr bool has_legacy = requires {
    &D::set_rx_mode;
  }
  || LegacyStyle<D>;
  constexpr bool has_async = requires {
    &D::set_rx_mode_async;
  }
  || PlanStyle<D> || KernelStyle<D>;
  constexpr int styles = PlanStyle<D> + KernelStyle<D> + has_legacy + (has_prepare || has_write);
  static_assert(styles <= 1,
                "a driver programs its filter in one style only: set_rx_mode_async(RxPlan&), prepare_rx_mode with "
                "write_rx_mode, set_rx_mode(const RxLists&), or set_rx_mode_async(dev, uc, mc)");
  static_assert(has_prepare == has_write, "prepare_rx_mode and write_rx_mode come together: both or neither");
  static_assert(
      !has_prepare || !has_write || ImageStyle<D>,
      "the image style is: a nested type RxModeImage, Result<> prepare_rx_mode(const RxLists&, RxModeImage&), "
      "Result<> write_rx_mode(const RxModeImage&)");
  static_assert(!has_legacy || LegacyStyle<D>, "the legacy style is: void set_rx_mode(const RxLists&)");
  static_assert(!has_async || PlanStyle<D> || KernelStyle<D>,
                "set_rx_mode_async is void (RxPlan&), or int (NetDevice*, HwAddrList* uc, HwAddrList* mc)");
  constexpr bool has_caps = requires(const D& d) {
    d.rx_filter_caps();
  };
  constexpr bool adds_vlans = requires {
    &D::vlan_rx_add_vid;
  };
  constexpr bool kills_vlans = requires {
    &D::vlan_rx_kill_vid;
  };
  static_assert(adds_vlans == kills_vlans, "vlan_rx_add_vid and vlan_rx_kill_vid come together: both or neither");
  static_assert(
      !adds_vlans || LegacyStyle<D> || KernelStyle<D>,
      "vlan_rx_add_vid goes with set_rx_mode or set_rx_mode_async(dev, uc, mc); other styles have VLAN ids in "
      "the plan or the image");
  static_assert(PlanStyle<D> == has_caps,
                "set_rx_mode_async(RxPlan&) and rx_filter_caps come together: both or neither");
}

// Fills the driver's style into its table. `Ops` is NetDeviceOps.
template <class D, class Ops>
constexpr void set_rx_style(Ops& ops) {
  if constexpr (requires(D & d) { d.vlan_rx_add_vid(uint16_t{}), d.vlan_rx_kill_vid(uint16_t{}); }) {
    ops.vlan_rx_add_vid = [](void* d, uint16_t id) { return static_cast<D*>(d)->vlan_rx_add_vid(id); };
    ops.vlan_rx_kill_vid = [](void* d, uint16_t id) { return static_cast<D*>(d)->vlan_rx_kill_vid(id); };
  }
  if constexpr (PlanStyle<D>) {
    ops.set_rx_mode_async = [](void* d, RxPlan& plan) { static_cast<D*>(d)->set_rx_mode_async(plan); };
  } else if constexpr (KernelStyle<D>) {
    ops.set_rx_mode_kernel = [](void* d, NetDevice* dev, HwAddrList* uc, HwAddrList* mc) {
      return static_cast<D*>(d)->set_rx_mode_async(dev, uc, mc);
    };
  } else if constexpr (LegacyStyle<D>) {
    static_assert(
        requires(D & d, const RxLists& l) {
          { d.set_rx_mode(l) }
          noexcept;
        },
        "set_rx_mode runs under addr_list_lock: noexcept USERNIC_NONBLOCKING");
    ops.set_rx_mode = [](void* d, const RxLists& lists) noexcept USERNIC_NONBLOCKING {
      static_cast<D*>(d)->set_rx_mode(lists);
    };
  } else if constexpr (ImageStyle<D>) {
    using Image = typename D::RxModeImage;
    static_assert(
        requires(D & d, const RxLists& l, Image& i) {
          { d.prepare_rx_mode(l, i) }
          noexcept;
        },
        "prepare_rx_mode runs under addr_list_lock: noexcept USERNIC_NONBLOCKING");
    ops.rx_image = &kRxImageType<Image>;
    ops.prepare_rx_mode = [](void* d, const RxLists& lists, void* image) noexcept USERNIC_NONBLOCKING {
      return static_cast<D*>(d)->prepare_rx_mode(lists, *static_cast<Image*>(image));
    };
    ops.write_rx_mode = [](void* d, const void* image) {
      return static_cast<D*>(d)->write_rx_mode(*static_cast<const Image*>(image));
    };
  }
}

}  // namespace usernic
// Explained best by: core/rx/rx_image_style_test.cc
