// SPDX-License-Identifier: Apache-2.0 OR MIT
// Ops that are known only when the program runs.
#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "usernic/address_list.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_lists.h"

namespace usernic {
namespace {

struct Card {
  std::string log;
};
Card& card_of(void* driver) {
  return *static_cast<Card*>(driver);
}

NetDeviceOps some_ops() {
  NetDeviceOps ops;
  ops.driver = "table";
  ops.open = [](void* d) {
    card_of(d).log += " open";
    return Result<>();
  };
  ops.stop = [](void* d) { card_of(d).log += " stop"; };
  ops.start_xmit = [](void*, Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  };
  return ops;
}

struct OpsTableTest : testing::Test {
  Net net;
  Card card;
  NetDeviceOps ops = some_ops();
  std::string made() { return outcome(net.alloc_netdev_with({.name = "tab0"}, ops, &card)); }
};

TEST_F(OpsTableTest, AnOpThatIsNullIsAbsent) {
  {
    const NetdevPtr dev = *net.alloc_netdev_with({.name = "tab0"}, ops, &card);
    ASSERT_TRUE(dev->register_netdev() && dev->open());
    EXPECT_EQ(dev->driver_name(), "table");
    EXPECT_EQ(outcome(dev->change_mtu(1400)), "ok") << "any within the limits";
    EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "EOPNOTSUPP");
    ASSERT_TRUE(dev->uc().add(kNeighbour)) << "without an RX filter it may be wanted";
  }
  EXPECT_EQ(card.log, " open stop") << "and the driver is not the device's";
}

TEST_F(OpsTableTest, ATableThatCannotBeIsRefused) {
  EXPECT_EQ(made(), "ok");
  ops.stop = nullptr;
  EXPECT_EQ(made(), "EINVAL");
  ops = some_ops();
  ops.set_rx_mode = [](void*, const RxLists&) noexcept USERNIC_NONBLOCKING {};
  EXPECT_EQ(made(), "ok");
  ops.set_rx_mode_kernel = [](void*, NetDevice*, HwAddrList*, HwAddrList*) { return 0; };
  EXPECT_EQ(made(), "EINVAL") << "two styles";
  ops = some_ops();
  ops.write_rx_mode = [](void*, const void*) { return Result<>(); };
  EXPECT_EQ(made(), "EINVAL") << "half of one";
  ops = some_ops();
  ops.set_rx_mode = [](void*, const RxLists&) noexcept USERNIC_NONBLOCKING {};
  ops.vlan_rx_add_vid = [](void*, uint16_t) { return Result<>(); };
  EXPECT_EQ(made(), "EINVAL") << "half a pair";
  ops.vlan_rx_kill_vid = ops.vlan_rx_add_vid;
  EXPECT_EQ(made(), "ok");
  ops.set_rx_mode = nullptr;
  EXPECT_EQ(made(), "EINVAL") << "in a style that has VLAN ids in its plan";
}

}  // namespace
}  // namespace usernic
