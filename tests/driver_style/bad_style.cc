// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver whose rx-mode ops are chosen by a macro. Only the one without a macro compiles; CMakeLists.txt has the
// sentence that each of the others must be refused with.
#include <vector>

#include "usernic/driver.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_lists.h"

namespace usernic {

struct Driver {
  Result<> open() { return {}; }
  void stop() {}
#if defined(CASE_xmit_may_throw)
  NetdevTx start_xmit(Skb&, TxQueue&, bool) {
    return NetdevTx::kOk;
  }
#else
  NetdevTx start_xmit(Skb&, TxQueue&, bool) noexcept {
    return NetdevTx::kOk;
  }
#endif
#if defined(CASE_stats_may_throw)
  void get_stats(LinkStats&) const {}
#elif defined(CASE_stats_not_const)
  void get_stats(LinkStats&) noexcept {}
#elif defined(CASE_mtu_of_reference)
  Result<> change_mtu(uint32_t&) {
    return {};
  }
#elif defined(CASE_mac_adress)
  Result<> set_mac_adress(const MacAddress&) {
    return {};
  }
#elif defined(CASE_vlan_add_alone)
  Result<> vlan_rx_add_vid(uint16_t) {
    return {};
  }
#elif defined(CASE_plan_and_vlans)
  Result<> vlan_rx_add_vid(uint16_t) {
    return {};
  }
  Result<> vlan_rx_kill_vid(uint16_t) {
    return {};
  }
#elif defined(CASE_old_name)
  void set_multicast_list() {}
#endif

#if defined(CASE_image_of_vectors)
  using RxModeImage = std::vector<int>;
#elif !defined(CASE_image_without_type)
  struct RxModeImage {
    int value;
  };
#else
  using Other = int;
  Result<> prepare_rx_mode(const RxLists&, Other&) noexcept {
    return {};
  }
  Result<> write_rx_mode(const Other&) {
    return {};
  }
#endif

#if defined(CASE_plan_and_legacy) || defined(CASE_image_and_plan) || defined(CASE_overloaded_image_and_plan) || \
    defined(CASE_plan_and_overloaded_legacy) || defined(CASE_plan_without_caps) || defined(CASE_plan_and_vlans)
  void set_rx_mode_async(RxPlan&) {}
#endif
#if defined(CASE_plan_and_legacy) || defined(CASE_image_and_plan) || defined(CASE_overloaded_image_and_plan) || \
    defined(CASE_plan_and_overloaded_legacy) || defined(CASE_legacy_with_caps) || defined(CASE_plan_and_vlans)
  RxFilterCaps rx_filter_caps() const {
    return {};
  }
#endif
#if defined(CASE_plan_and_legacy) || defined(CASE_legacy_and_kernel) || defined(CASE_legacy_with_caps)
  void set_rx_mode(const RxLists&) noexcept {}
#endif
#if defined(CASE_plan_and_overloaded_legacy)
  void set_rx_mode(const RxLists&) noexcept {}
  void set_rx_mode(int) {}
#endif
#if defined(CASE_legacy_of_int)
  int set_rx_mode(const RxLists&) noexcept {
    return 0;
  }
#endif
#if defined(CASE_overloaded_image_and_plan)
  Result<> prepare_rx_mode(const RxLists&, RxModeImage&) noexcept {
    return {};
  }
  void prepare_rx_mode() {}
  Result<> write_rx_mode(const RxModeImage&) {
    return {};
  }
  void write_rx_mode() {}
#endif
#if defined(CASE_legacy_may_throw)
  void set_rx_mode(const RxLists&) {}
#endif
#if defined(CASE_legacy_of_nothing)
  void set_rx_mode() noexcept {}
#endif
#if defined(CASE_legacy_and_kernel)
  int set_rx_mode_async(NetDevice*, HwAddrList*, HwAddrList*) {
    return 0;
  }
#endif
#if defined(CASE_async_of_int)
  void set_rx_mode_async(int) {}
#endif
#if defined(CASE_prepare_alone) || defined(CASE_image_and_plan) || defined(CASE_image_of_vectors) || !defined(ANY_CASE)
  Result<> prepare_rx_mode(const RxLists&, RxModeImage&) noexcept {
    return {};
  }
#endif
#if defined(CASE_write_alone) || defined(CASE_image_and_plan) || defined(CASE_image_of_vectors) || !defined(ANY_CASE)
  Result<> write_rx_mode(const RxModeImage&) {
    return {};
  }
#endif
};

constexpr NetDeviceOps kOps = ops_of<Driver>();
static_assert(kOps.prepare_rx_mode != nullptr && kOps.write_rx_mode != nullptr, "the good one is of the image style");

}  // namespace usernic
