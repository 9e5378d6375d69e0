// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: drivers of a simulated card in the styles other than the plan.
//
//   ImageDriver   writes all registers at once; the write may fail with and without effect, and there may be no room
//   LegacyDriver  writes under addr_list_lock: it cannot fail, and has room for everything
//   KernelDriver  pushes from its lists; a push or an unsync that failed has changed nothing
#pragma once

#include <array>

#include "sim/card.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_lists.h"

namespace usernic::sim {

class ImageDriver : public CardOps {
 public:
  struct RxModeImage {
    std::array<MacAddress, 32> addresses;
    uint32_t count = 0;
    uint16_t vlans = 0;  // a bit an id below 8
    bool promisc = false, allmulti = false, vlan_open = true;
  };
  using CardOps::CardOps;
  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept USERNIC_NONBLOCKING;
  Result<> write_rx_mode(const RxModeImage& image);
};

class LegacyDriver : public CardOps {
 public:
  using CardOps::CardOps;
  void set_rx_mode(const RxLists& lists) noexcept USERNIC_NONBLOCKING;
};

class KernelDriver : public CardOps {
 public:
  using CardOps::CardOps;
  int set_rx_mode_async(NetDevice* dev, HwAddrList* uc, HwAddrList* mc);

 private:
  static Card& card_of(NetDevice* dev) { return static_cast<KernelDriver*>(dev->driver())->card_; }
  static int push(NetDevice* dev, const unsigned char* octets);
  static int take_back(NetDevice* dev, const unsigned char* octets);
};

}  // namespace usernic::sim
