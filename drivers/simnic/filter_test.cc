// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/filter.h"

#include <gtest/gtest.h>

#include <set>

#include "drivers/simnic/test_frames.h"

namespace usernic::simnic {
namespace {

Message add(const MacAddress& a) {
  return {Op::kAdd, a.is_multicast() ? Table::kMulticast : Table::kUnicast, 0, 0, a};
}
Message del(const MacAddress& a) {
  return {Op::kDel, a.is_multicast() ? Table::kMulticast : Table::kUnicast, 0, 0, a};
}
Message vlan(Op op, uint16_t id) {
  return {op, Table::kVlan, id};
}
Message bucket(Op op, Table table, uint32_t n) {
  return {op, table, 0, n};
}
Message flag(Op op, Table table) {
  return {op, table};
}

std::errc error_of(const Result<>& result) {
  return result ? std::errc{} : result.error();
}

Filter make(const SimnicConfig& config) {
  Filter filter(config);
  filter.set_own_address(kOwnA);
  return filter;
}

FilterImage image_of(const Filter& filter) {
  FilterImage image = filter.empty_image();
  filter.read(image);
  return image;
}

TEST(Filter, EmptyPassesOwnAndBroadcastOnly) {
  const Filter filter = make({});
  EXPECT_TRUE(filter.accepts(kOwnA));
  EXPECT_TRUE(filter.accepts(kBroadcast));
  EXPECT_FALSE(filter.accepts(kOwnB));
  EXPECT_FALSE(filter.accepts(multicast(1)));
}

TEST(Filter, ShortOfAHeaderIsNoFrame) {
  Filter filter = make({});
  ASSERT_TRUE(filter.execute(flag(Op::kOn, Table::kPromisc)));
  EXPECT_FALSE(filter.accepts(Frame(make_frame(kOwnA)).first(13)));
  EXPECT_TRUE(filter.accepts(Frame(make_frame(kOwnA)).first(14)));
}

TEST(Filter, ExactEntriesPassUntilRemoved) {
  Filter filter = make({});
  for (const MacAddress& address : {unicast(1), multicast(1)}) {
    ASSERT_TRUE(filter.execute(add(address)));
    EXPECT_TRUE(filter.accepts(address));
    EXPECT_TRUE(filter.accepts(Frame(make_frame(address))));
    ASSERT_TRUE(filter.execute(del(address)));
    EXPECT_FALSE(filter.accepts(address));
  }
}

TEST(Filter, AddAndDelAreIdempotent) {
  Filter filter = make({.unicast_slots = 1});
  EXPECT_TRUE(filter.execute(add(unicast(1))));
  EXPECT_TRUE(filter.execute(add(unicast(1)))) << "a full table still holds what it holds";
  EXPECT_TRUE(filter.execute(del(unicast(1))));
  EXPECT_TRUE(filter.execute(del(unicast(1))));
}

TEST(Filter, FullTableSaysNoSpaceAndFreesOnDel) {
  Filter filter = make({.unicast_slots = 3, .multicast_slots = 2});
  for (uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(filter.execute(add(unicast(i))));
  EXPECT_EQ(error_of(filter.execute(add(unicast(9)))), std::errc::no_space_on_device);
  for (uint32_t i = 0; i < 2; ++i) ASSERT_TRUE(filter.execute(add(multicast(i)))) << "tables are separate";
  EXPECT_EQ(error_of(filter.execute(add(multicast(9)))), std::errc::no_space_on_device);
  ASSERT_TRUE(filter.execute(del(unicast(1))));
  EXPECT_TRUE(filter.execute(add(unicast(9))));
  EXPECT_TRUE(filter.accepts(unicast(0)) && filter.accepts(unicast(2)) && filter.accepts(unicast(9)));
}

TEST(Filter, SharedTableServesBothClasses) {
  Filter filter = make({.unicast_slots = 2, .multicast_slots = 100, .shared_slots = true});
  ASSERT_TRUE(filter.execute(add(multicast(1))));
  ASSERT_TRUE(filter.execute(add(unicast(1))));
  EXPECT_EQ(error_of(filter.execute(add(unicast(2)))), std::errc::no_space_on_device);
  EXPECT_EQ(error_of(filter.execute(add(multicast(2)))), std::errc::no_space_on_device);
  const FilterImage image = image_of(filter);
  EXPECT_EQ(image.unicast, std::vector{unicast(1)});
  EXPECT_EQ(image.multicast, std::vector{multicast(1)});
}

TEST(Filter, OwnAddressTakesNoSlot) {
  Filter filter = make({.unicast_slots = 1});
  ASSERT_TRUE(filter.execute(add(unicast(1))));
  filter.set_own_address(kOwnB);
  EXPECT_TRUE(filter.accepts(kOwnB));
  EXPECT_FALSE(filter.accepts(kOwnA));
  EXPECT_TRUE(filter.accepts(unicast(1)));
}

TEST(Filter, WhatACardHasNotIsNotSupported) {
  Filter filter =
      make({.unicast_slots = 0, .multicast_slots = 0, .multicast_hash_bits = 0, .promisc = false, .allmulti = false});
  for (const Message& message :
       {add(unicast(1)), add(multicast(1)), bucket(Op::kSetBucket, Table::kUnicast, 0),
        bucket(Op::kSetBucket, Table::kMulticast, 0), vlan(Op::kAdd, 5), flag(Op::kOn, Table::kPromisc),
        flag(Op::kOn, Table::kAllmulti), flag(Op::kOff, Table::kVlanOpen)}) {
    EXPECT_EQ(error_of(filter.execute(message)), std::errc::operation_not_supported);
  }
}

TEST(Filter, NonsenseIsInvalid) {
  Filter filter = make({.vlan_slots = 4});
  for (const Message& message : {Message{Op::kAdd, Table::kPromisc}, bucket(Op::kSetBucket, Table::kVlan, 1),
                                 bucket(Op::kSetBucket, Table::kMulticast, 64), vlan(Op::kAdd, 0), vlan(Op::kAdd, 4095),
                                 flag(Op::kOn, Table::kUnicast)}) {
    EXPECT_EQ(error_of(filter.execute(message)), std::errc::invalid_argument);
  }
}

TEST(Filter, BucketsPassExactlyWhatHashesThere) {
  for (const Table table : {Table::kUnicast, Table::kMulticast}) {
    Filter filter = make({.unicast_hash_bits = 32, .multicast_hash_bits = 32});
    const auto address = [table](uint64_t n) { return table == Table::kUnicast ? unicast(n) : multicast(n); };
    const uint32_t set = bucket_of(address(1), 32);
    ASSERT_TRUE(filter.execute(bucket(Op::kSetBucket, table, set)));
    for (uint64_t n = 0; n < 1000; ++n) {
      EXPECT_EQ(filter.accepts(address(n)), bucket_of(address(n), 32) == set) << n;
    }
    EXPECT_FALSE(filter.accepts(table == Table::kUnicast ? multicast(1) : unicast(1))) << "hashes are separate";
    ASSERT_TRUE(filter.execute(bucket(Op::kClearBucket, table, set)));
    EXPECT_FALSE(filter.accepts(address(1)));
  }
}

TEST(Filter, HashSpreadsAndStaysInRange) {
  EXPECT_EQ(bucket_of(multicast(7), 1), 0u);
  for (uint32_t buckets : {2u, 64u, 4096u}) {
    std::set<uint32_t> seen;
    for (uint64_t n = 0; n < 100'000; ++n) {
      const uint32_t bucket = bucket_of(multicast(n), buckets);
      ASSERT_LT(bucket, buckets);
      seen.insert(bucket);
    }
    EXPECT_EQ(seen.size(), buckets);
  }
  // The top bits: more buckets only split a bucket.
  EXPECT_EQ(bucket_of(multicast(5), 64), bucket_of(multicast(5), 4096) / 64);
}

TEST(Filter, HashIsTheEthernetCrc) {
  // CRC-32 of the six octets 01 00 5e 00 00 01, worked out bit by bit.
  uint32_t crc = ~0u;
  for (uint8_t octet : multicast(1).octets) {
    for (int bit = 0; bit < 8; ++bit, octet >>= 1) {
      crc = (crc >> 1) ^ (((crc ^ octet) & 1) != 0 ? 0xedb8'8320u : 0u);
    }
  }
  EXPECT_EQ(bucket_of(multicast(1), 4096), ~crc >> 20);
}

TEST(Filter, AllmultiPassesMulticastsPromiscPassesAll) {
  Filter filter = make({});
  ASSERT_TRUE(filter.execute(flag(Op::kOn, Table::kAllmulti)));
  EXPECT_TRUE(filter.accepts(multicast(1)));
  EXPECT_FALSE(filter.accepts(unicast(1)));
  ASSERT_TRUE(filter.execute(flag(Op::kOn, Table::kPromisc)));
  EXPECT_TRUE(filter.accepts(unicast(1)));
  ASSERT_TRUE(filter.execute(flag(Op::kOff, Table::kAllmulti)));
  EXPECT_TRUE(filter.accepts(multicast(1)));
  ASSERT_TRUE(filter.execute(flag(Op::kOff, Table::kPromisc)));
  EXPECT_FALSE(filter.accepts(multicast(1)) || filter.accepts(unicast(1)));
}

TEST(Filter, VlanFilterIsOpenUntilClosed) {
  Filter filter = make({.vlan_slots = 2});
  const auto passes = [&](std::optional<uint16_t> id) { return filter.accepts(Frame(make_frame(kOwnA, 60, 0, id))); };
  EXPECT_TRUE(passes(5));
  ASSERT_TRUE(filter.execute(flag(Op::kOff, Table::kVlanOpen)));
  EXPECT_FALSE(passes(5));
  EXPECT_TRUE(passes(std::nullopt)) << "untagged";
  EXPECT_TRUE(passes(0)) << "a priority tag";
  EXPECT_TRUE(passes(0xe000)) << "a priority tag with a priority";
  ASSERT_TRUE(filter.execute(vlan(Op::kAdd, 5)));
  EXPECT_TRUE(passes(5));
  EXPECT_TRUE(passes(0x6005)) << "priority bits are not the id";
  EXPECT_FALSE(passes(6));
  EXPECT_FALSE(filter.accepts(Frame(make_frame(kOwnB, 60, 0, 5)))) << "the VLAN passes, the address does not";
  ASSERT_TRUE(filter.execute(flag(Op::kOn, Table::kPromisc)));
  EXPECT_TRUE(passes(6)) << "promiscuity accepts everything";
  ASSERT_TRUE(filter.execute(flag(Op::kOff, Table::kPromisc)));
  ASSERT_TRUE(filter.execute(flag(Op::kOn, Table::kVlanOpen)));
  EXPECT_TRUE(passes(6));
}

TEST(Filter, VlanSlotsRunOut) {
  Filter filter = make({.vlan_slots = 2});
  ASSERT_TRUE(filter.execute(vlan(Op::kAdd, 1)));
  ASSERT_TRUE(filter.execute(vlan(Op::kAdd, 4094)));
  EXPECT_TRUE(filter.execute(vlan(Op::kAdd, 1)));
  EXPECT_EQ(error_of(filter.execute(vlan(Op::kAdd, 2))), std::errc::no_space_on_device);
  ASSERT_TRUE(filter.execute(vlan(Op::kDel, 1)));
  EXPECT_TRUE(filter.execute(vlan(Op::kAdd, 2)));
  EXPECT_EQ(image_of(filter).vlans, (std::vector<uint16_t>{2, 4094}));
}

TEST(Filter, AVlanTableMayBeSmallerThanOnItsDataSheetAndNeverLarger) {
  Filter filter = make({.vlan_slots = 2});
  filter.limit_slots(Table::kVlan, 3);
  ASSERT_TRUE(filter.execute(vlan(Op::kAdd, 1)) && filter.execute(vlan(Op::kAdd, 2)));
  EXPECT_EQ(error_of(filter.execute(vlan(Op::kAdd, 3))), std::errc::no_space_on_device);
  filter.limit_slots(Table::kVlan, 1);
  EXPECT_EQ(image_of(filter).vlans, (std::vector<uint16_t>{1, 2})) << "what is held stays";
  ASSERT_TRUE(filter.execute(vlan(Op::kDel, 1)));
  EXPECT_EQ(error_of(filter.execute(vlan(Op::kAdd, 3))), std::errc::no_space_on_device);
}

TEST(Filter, ATaggedFrameCutShortIsInNoVlan) {
  Filter filter = make({.vlan_slots = 2});
  ASSERT_TRUE(filter.execute(flag(Op::kOff, Table::kVlanOpen)));
  EXPECT_FALSE(filter.accepts(Frame(make_frame(kOwnA, 60, 0, 5)).first(15)));
}

TEST(Filter, LimitMakesTheTableSmallerThanDeclared) {
  Filter filter = make({.unicast_slots = 8});
  for (uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(filter.execute(add(unicast(i))));
  filter.limit_slots(Table::kUnicast, 2);
  EXPECT_TRUE(filter.accepts(unicast(3))) << "what is held stays";
  EXPECT_EQ(error_of(filter.execute(add(unicast(9)))), std::errc::no_space_on_device);
  filter.limit_slots(Table::kUnicast, UINT32_MAX);
  for (uint32_t i = 4; i < 8; ++i) EXPECT_TRUE(filter.execute(add(unicast(i))));
  EXPECT_EQ(error_of(filter.execute(add(unicast(9)))), std::errc::no_space_on_device) << "not larger, either";
}

TEST(Filter, AnImageHasRoomForTheAddressesOfEitherClassInEitherTable) {
  Filter filter = make({.unicast_slots = 2, .multicast_slots = 2});
  for (uint32_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(filter.execute({Op::kAdd, Table::kUnicast, 0, 0, multicast(i)}));
    ASSERT_TRUE(filter.execute({Op::kAdd, Table::kMulticast, 0, 0, multicast(2 + i)}));
  }
  FilterImage image = filter.empty_image();
  const size_t room = image.multicast.capacity();
  filter.read(image);
  EXPECT_EQ(image.multicast.size(), 4u);
  EXPECT_EQ(image.multicast.capacity(), room) << "it is read where nothing may allocate";
}

TEST(Filter, ClearIsPowerOn) {
  Filter filter = make({.unicast_hash_bits = 8, .vlan_slots = 2});
  for (const Message& message :
       {add(unicast(1)), add(multicast(1)), bucket(Op::kSetBucket, Table::kUnicast, 3),
        bucket(Op::kSetBucket, Table::kMulticast, 3), vlan(Op::kAdd, 3), flag(Op::kOn, Table::kPromisc),
        flag(Op::kOn, Table::kAllmulti), flag(Op::kOff, Table::kVlanOpen)}) {
    ASSERT_TRUE(filter.execute(message));
  }
  filter.clear();
  const FilterImage image = image_of(filter);
  EXPECT_TRUE(image.unicast.empty() && image.multicast.empty() && image.vlans.empty());
  EXPECT_TRUE(image.unicast_buckets.empty() && image.multicast_buckets.empty());
  EXPECT_FALSE(image.promisc || image.allmulti);
  EXPECT_TRUE(image.vlan_open);
  EXPECT_EQ(image.own_address, kOwnA);
  for (const uint16_t id : {4, 5}) EXPECT_TRUE(filter.execute(vlan(Op::kAdd, id))) << "every slot is free";
}

TEST(Config, ErrorsNameTheFieldAndWhatWouldBeRight) {
  EXPECT_EQ(config_error({}), "");
  EXPECT_EQ(config_error({.multicast_hash_bits = 65}),
            "multicast_hash_bits is 65, it must be a power of two up to 4096");
  EXPECT_EQ(config_error({.unicast_hash_bits = 8192}),
            "unicast_hash_bits is 8192, it must be a power of two up to 4096");
  EXPECT_EQ(config_error({.vlan_slots = 5000}), "vlan_slots is 5000, at most 4094 is possible");
  EXPECT_EQ(config_error({.wire = ""}), "wire is empty, it must be a name");
  EXPECT_NE(config_error({.rx_descriptors = 0}), "");
}

}  // namespace
}  // namespace usernic::simnic
