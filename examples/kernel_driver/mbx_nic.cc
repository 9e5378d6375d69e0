// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver as it stands in the kernel, ported by include: probe and remove, ndo ops, a workqueue of its own, a reset,
// and a device stacked on top.
//
// The NIC has eight address slots behind a mailbox, so its filter is programmed in ndo_set_rx_mode_async, which may
// sleep. `mux` on top of it has no hardware: its ndo_set_rx_mode hands its lists down with dev_uc_sync and dev_mc_sync,
// under netif_addr_lock, and its ndo_change_rx_flags promiscuity and allmulti, as macvlan and vlan do. Three things
// differ from the kernel, and no more: the ops are a template argument of alloc_etherdev, &dev->uc is netdev_uc(dev),
// and main says which Net is init_net.
#include <cstdio>

#include "kernel/names.h"

using namespace usernic::kernel;

namespace {

constexpr int MBX_SLOTS = 8;

struct mbx_hw {  // the card
  u8 slots[MBX_SLOTS][ETH_ALEN];
  bool used[MBX_SLOTS];
  bool promisc, allmulti;
  int busy;  // so many commands fail
};

struct mbx_priv {
  struct net_device* netdev;
  struct mbx_hw* hw;
  struct workqueue_struct* wq;
  struct work_struct reset_work;
  struct delayed_work link_work;
};

mbx_priv* mbx_of(struct net_device* dev) {
  return static_cast<mbx_priv*>(netdev_priv(dev));
}

int mbx_add_addr(struct net_device* dev, const unsigned char* addr) {
  struct mbx_hw* hw = mbx_of(dev)->hw;
  if (hw->busy > 0) {
    hw->busy--;
    return -EBUSY;  // tried again after a second
  }
  for (int i = 0; i < MBX_SLOTS; i++) {
    if (hw->used[i]) continue;
    ether_addr_copy(hw->slots[i], addr);
    hw->used[i] = true;
    return 0;
  }
  return -ENOSPC;  // the core turns promisc on, and off when there is room again
}

int mbx_del_addr(struct net_device* dev, const unsigned char* addr) {
  struct mbx_hw* hw = mbx_of(dev)->hw;
  for (int i = 0; i < MBX_SLOTS; i++) {
    if (hw->used[i] && ether_addr_equal(hw->slots[i], addr)) hw->used[i] = false;
  }
  return 0;
}

int mbx_set_rx_mode(struct net_device* dev, struct netdev_hw_addr_list* uc, struct netdev_hw_addr_list* mc) {
  mbx_of(dev)->hw->promisc = netif_get_flags(dev) & IFF_PROMISC;
  mbx_of(dev)->hw->allmulti = netif_get_flags(dev) & IFF_ALLMULTI;
  int err = __hw_addr_sync_dev(uc, dev, mbx_add_addr, mbx_del_addr);
  int mc_err = __hw_addr_sync_dev(mc, dev, mbx_add_addr, mbx_del_addr);
  return err ? err : mc_err;
}

int mbx_open(struct net_device* dev) {
  queue_delayed_work(mbx_of(dev)->wq, &mbx_of(dev)->link_work, 0);
  netif_start_queue(dev);
  return 0;
}

int mbx_stop(struct net_device* dev) {
  netif_stop_queue(dev);
  cancel_delayed_work_sync(&mbx_of(dev)->link_work);
  __dev_uc_unsync(dev, mbx_del_addr);
  __dev_mc_unsync(dev, mbx_del_addr);
  return 0;
}

netdev_tx_t drop_xmit(struct sk_buff* skb, struct net_device*) {
  dev_consume_skb_any(skb);
  return NETDEV_TX_OK;
}

constexpr struct net_device_ops mbx_ops = {
    .ndo_open = mbx_open,
    .ndo_stop = mbx_stop,
    .ndo_start_xmit = drop_xmit,
    .ndo_set_rx_mode_async = mbx_set_rx_mode,
    .ndo_set_mac_address = eth_mac_addr,
    .ndo_validate_addr = eth_validate_addr,
};

void mbx_link(struct work_struct* work) {
  mbx_priv* priv = container_of(to_delayed_work(work), mbx_priv, link_work);
  netif_carrier_on(priv->netdev);
  queue_delayed_work(priv->wq, &priv->link_work, HZ);
}

// The card forgets everything; netif_device_attach has it programmed again.
void mbx_reset(struct work_struct* work) {
  mbx_priv* priv = container_of(work, mbx_priv, reset_work);
  netif_device_detach(priv->netdev);
  *priv->hw = {};
  netif_device_attach(priv->netdev);
}

struct net_device* mbx_probe(struct mbx_hw* hw) {
  struct net_device* dev = alloc_etherdev<&mbx_ops>(sizeof(mbx_priv));
  if (!dev) return NULL;
  mbx_priv* priv = mbx_of(dev);
  priv->netdev = dev;
  priv->hw = hw;
  netdev_add_priv_flags(dev, IFF_UNICAST_FLT);
  priv->wq = alloc_ordered_workqueue("mbx", WQ_MEM_RECLAIM);
  INIT_WORK(&priv->reset_work, mbx_reset);
  INIT_DELAYED_WORK(&priv->link_work, mbx_link);
  eth_hw_addr_random(dev);
  if (register_netdev(dev) == 0) return dev;
  destroy_workqueue(priv->wq);
  free_netdev(dev);
  return NULL;
}

void mbx_remove(struct net_device* dev) {
  mbx_priv* priv = mbx_of(dev);
  unregister_netdev(dev);
  cancel_work_sync(&priv->reset_work);
  destroy_workqueue(priv->wq);
  free_netdev(dev);
}

// ---- mux, on top ----------------------------------------------------------------------------------------------------

struct mux_priv {
  struct net_device* lower;
};

struct net_device* mux_lower(struct net_device* dev) {
  return static_cast<mux_priv*>(netdev_priv(dev))->lower;
}

void mux_set_rx_mode(struct net_device* dev) {
  dev_uc_sync(mux_lower(dev), dev);
  dev_mc_sync(mux_lower(dev), dev);
}

// Where netif_get_flags stands is what the lower has of the mux: from mux_open, by these steps, to mux_stop.
void mux_change_rx_flags(struct net_device* dev, int change) {
  const unsigned flags = netif_get_flags(dev);
  if (change & IFF_ALLMULTI) dev_set_allmulti(mux_lower(dev), flags & IFF_ALLMULTI ? 1 : -1);
  if (change & IFF_PROMISC) dev_set_promiscuity(mux_lower(dev), flags & IFF_PROMISC ? 1 : -1);
}

int mux_open(struct net_device* dev) {
  mux_change_rx_flags(dev, netif_get_flags(dev));
  netif_start_queue(dev);
  return 0;
}

int mux_stop(struct net_device* dev) {
  netif_stop_queue(dev);
  dev_uc_unsync(mux_lower(dev), dev);
  dev_mc_unsync(mux_lower(dev), dev);
  if (netif_get_flags(dev) & IFF_ALLMULTI) dev_set_allmulti(mux_lower(dev), -1);
  if (netif_get_flags(dev) & IFF_PROMISC) dev_set_promiscuity(mux_lower(dev), -1);
  return 0;
}

constexpr struct net_device_ops mux_ops = {
    .ndo_open = mux_open,
    .ndo_stop = mux_stop,
    .ndo_start_xmit = drop_xmit,
    .ndo_set_rx_mode = mux_set_rx_mode,
    .ndo_change_rx_flags = mux_change_rx_flags,
};

struct net_device* mux_newlink(struct net_device* lower) {
  struct net_device* dev = alloc_netdev<&mux_ops>(sizeof(mux_priv), "mux%d", NET_NAME_USER, ether_setup);
  if (!dev) return NULL;
  netdev_add_priv_flags(dev, IFF_UNICAST_FLT);
  static_cast<mux_priv*>(netdev_priv(dev))->lower = lower;
  eth_hw_addr_random(dev);
  rtnl_lock();
  const int err = register_netdevice(dev);
  if (err) free_netdev(dev);
  rtnl_unlock();
  return err ? NULL : dev;
}

void mux_dellink(struct net_device* dev) {
  rtnl_lock();
  unregister_netdevice(dev);
  free_netdev(dev);
  rtnl_unlock();
}

// ---- seen from outside ----------------------------------------------------------------------------------------------

bool card_holds(const struct mbx_hw& hw, struct net_device* upper, struct net_device* dev, int wanted,
                bool wide = false) {
  const auto in_effect = [](struct net_device* each) {
    return !each || !netif_running(each) ||
           each->rx_mode().settle(usernic::Clock::now() + std::chrono::seconds(20)).has_value();
  };
  if (!in_effect(upper) || !in_effect(dev)) return false;
  int used = 0;
  for (bool each : hw.used) used += each;
  std::printf("%d wanted, %d slots used%s%s\n", wanted, used, hw.promisc ? ", promisc" : "",
              hw.allmulti ? ", allmulti" : "");
  return used == wanted && hw.promisc == wide && hw.allmulti == wide;
}

}  // namespace

int main() {
  usernic::Net net;
  init_net_is here(net);
  struct mbx_hw hw = {};
  hw.busy = 1;
  struct net_device* dev = mbx_probe(&hw);
  struct net_device* mux = dev ? mux_newlink(dev) : NULL;
  if (!mux || dev_open(dev, NULL) || dev_open(mux, NULL)) return 1;

  const u8 neighbour[ETH_ALEN] = {2, 0, 0, 0, 0, 1}, group[ETH_ALEN] = {1, 0, 0x5e, 0, 0, 0xfb};
  bool right = dev_uc_add(mux, neighbour) == 0 && dev_mc_add(mux, group) == 0 && dev_mc_add(dev, group) == 0;
  right = right && card_holds(hw, mux, dev, 2);

  std::printf("reset: ");
  schedule_work(&mbx_of(dev)->reset_work);
  flush_work(&mbx_of(dev)->reset_work);
  right = card_holds(hw, mux, dev, 2) && right;

  std::printf("sniffing on mux: ");
  right = dev_set_promiscuity(mux, 1) == 0 && dev_set_allmulti(mux, 1) == 0 && right;
  right = card_holds(hw, mux, dev, 2, true) && right;

  std::printf("mux closed: ");
  dev_close(mux);
  right = card_holds(hw, mux, dev, 1) && right;

  std::printf("and open: ");
  right = dev_open(mux, NULL) == 0 && card_holds(hw, mux, dev, 2, true) && right;

  std::printf("mux gone: ");
  mux_dellink(mux);
  right = card_holds(hw, NULL, dev, 1) && right;

  mbx_remove(dev);
  std::printf("%s\n", right ? "as wanted" : "WRONG");
  return right ? 0 : 1;
}
