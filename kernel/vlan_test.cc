// SPDX-License-Identifier: Apache-2.0 OR MIT
// A table is told of each VLAN id that its card is to let through.
#include <gtest/gtest.h>

#include <string>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/rx_mode.h"

namespace usernic::kernel_vlan_test {
namespace {

using namespace usernic::kernel;

struct vlan_priv {
  char told[64];
};
vlan_priv* vlans_of(struct net_device* dev) {
  return static_cast<vlan_priv*>(netdev_priv(dev));
}
int note_vlan(struct net_device* dev, char sign, __be16 proto, u16 vid) {
  vlan_priv* const priv = vlans_of(dev);
  const std::string text = std::string(priv->told) + sign + std::to_string(vid) + (proto == kVlanTag ? " " : "? ");
  text.copy(priv->told, sizeof priv->told - 1);
  return 0;
}
int vlan_comes(struct net_device* dev, __be16 proto, u16 vid) {
  return note_vlan(dev, '+', proto, vid);
}
int vlan_goes(struct net_device* dev, __be16 proto, u16 vid) {
  return note_vlan(dev, '-', proto, vid);
}
int vlan_up(struct net_device*) {
  return 0;
}
netdev_tx_t vlan_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
void vlan_rx_mode(struct net_device*) {}
int vlan_rx_mode_async(struct net_device*, struct netdev_hw_addr_list*, struct netdev_hw_addr_list*) {
  return 0;
}
constexpr struct net_device_ops old_vlan_ops = {.ndo_open = vlan_up,
                                                .ndo_stop = vlan_up,
                                                .ndo_start_xmit = vlan_xmit,
                                                .ndo_set_rx_mode = vlan_rx_mode,
                                                .ndo_vlan_rx_add_vid = vlan_comes,
                                                .ndo_vlan_rx_kill_vid = vlan_goes};
constexpr struct net_device_ops new_vlan_ops = [] {
  struct net_device_ops ops = old_vlan_ops;
  ops.ndo_set_rx_mode = nullptr;
  ops.ndo_set_rx_mode_async = vlan_rx_mode_async;
  return ops;
}();

struct KernelVlans : testing::Test {
  Net net;
  init_net_is here{net};
  std::string told_of(struct net_device* dev) {
    EXPECT_EQ(register_netdev(dev), 0);
    EXPECT_EQ(dev_open(dev), 0);
    RxMode& mode = dev->rx_mode();
    EXPECT_TRUE(mode.vlan_add(7) && mode.settle(soon()));
    EXPECT_TRUE(mode.vlan_del(7) && mode.vlan_add(100) && mode.settle(soon()));
    const std::string told = vlans_of(dev)->told;
    unregister_netdev(dev);
    free_netdev(dev);
    return told;
  }
};

TEST_F(KernelVlans, ComeAndGoAsTheFilterWantsThem) {
  EXPECT_EQ(told_of(alloc_etherdev<&old_vlan_ops>(sizeof(vlan_priv))), "+7 -7 +100 ");
  EXPECT_EQ(told_of(alloc_etherdev<&new_vlan_ops>(sizeof(vlan_priv))), "+7 -7 +100 ");
}

}  // namespace
}  // namespace usernic::kernel_vlan_test
