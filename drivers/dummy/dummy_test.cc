// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/dummy/dummy.h"

#include <gtest/gtest.h>

namespace usernic {
namespace {

TEST(Dummy, DropsWhatItIsGivenAndTheCoreCounts) {
  Net net;
  SkbPool pool(8, 1514);
  Result<NetdevPtr> dev = Dummy::probe(net, {.name = "dummy%d"});
  ASSERT_TRUE(dev && (*dev)->register_netdev() && (*dev)->open());
  EXPECT_EQ((*dev)->name(), "dummy0");
  EXPECT_TRUE((*dev)->carrier_ok());
  SkbBatch frames;
  for (int i = 0; i < 5; ++i) {
    Skb* const skb = pool.alloc();
    skb->put(60);
    frames.push_back(*skb);
  }
  (*dev)->xmit((*dev)->tx_queue(0), frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(pool.available(), 8u);
  EXPECT_EQ((*dev)->stats().tx_packets, 5u);
  EXPECT_EQ((*dev)->stats().tx_bytes, 300u);
}

TEST(Dummy, TakesAnyOwnAddressAndHasNoCarrierWhenClosed) {
  Net net;
  Result<NetdevPtr> dev = Dummy::probe(net, {});
  ASSERT_TRUE(dev && (*dev)->register_netdev() && (*dev)->open());
  const MacAddress address = MacAddress::from_u64(0x0200'0000'0009);
  EXPECT_TRUE((*dev)->set_mac_address(address));
  EXPECT_EQ((*dev)->address(), address);
  ASSERT_TRUE((*dev)->close());
  EXPECT_FALSE((*dev)->carrier_ok());
}

TEST(Dummy, ItsLinkIsTurnedOffAndOnWhileItIsOpen) {
  Net net;
  Result<NetdevPtr> dev = Dummy::probe(net, {});
  ASSERT_TRUE(dev && (*dev)->register_netdev() && (*dev)->open());
  ASSERT_TRUE((*dev)->change_carrier(false));
  EXPECT_FALSE((*dev)->carrier_ok());
  ASSERT_TRUE((*dev)->change_carrier(true));
  EXPECT_TRUE((*dev)->carrier_ok());
  ASSERT_TRUE((*dev)->close() && (*dev)->change_carrier(true));
  EXPECT_FALSE((*dev)->carrier_ok()) << "a closed device has none";
}

}  // namespace
}  // namespace usernic
