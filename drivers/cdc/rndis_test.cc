// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/rndis.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace usernic::cdc {
namespace {

using Octets = std::vector<uint8_t>;

TEST(RndisMessageTest, AnAnswerIsAsLongAsItSaysAndItsInformationInIt) {
  Octets answer(30);
  put_le32(answer, 0, kRndisQuery | kRndisDone);
  put_le32(answer, kRndisLength, 30);
  put_le32(answer, kRndisId, 5);
  put_le32(answer, kRndisInfoLength, 6);
  put_le32(answer, kRndisInfoOffset, 16);
  const auto message = parse_rndis_message(answer);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->id, 5u);
  EXPECT_EQ(message->info.data(), answer.data() + 24);
  EXPECT_EQ(message->info.size(), 6u);
  for (const uint32_t wrong : {7u, 0xffffffffu}) {
    put_le32(answer, kRndisInfoLength, wrong);
    EXPECT_FALSE(parse_rndis_message(answer)) << wrong;
  }
  put_le32(answer, kRndisInfoLength, 0);
  put_le32(answer, kRndisInfoOffset, 0);
  EXPECT_TRUE(parse_rndis_message(answer)) << "it may say nothing";
  put_le32(answer, kRndisLength, 31);
  EXPECT_FALSE(parse_rndis_message(answer));
  EXPECT_FALSE(parse_rndis_message({})) << "nothing waits";
  EXPECT_FALSE(parse_rndis_message(Octets(1))) << "nothing waits";
}

TEST(RndisMessageTest, AnyOctetsAreReadAndNotBeyond) {
  std::mt19937 dice(20261130);
  for (int n = 0; n < 100'000; ++n) {
    Octets octets(30);
    put_le32(octets, 0, kRndisQuery | kRndisDone);
    put_le32(octets, kRndisLength, 30);
    for (uint32_t changes = dice() % 8; changes-- > 0;) octets[dice() % octets.size()] = static_cast<uint8_t>(dice());
    if (dice() % 4 == 0) octets.resize(dice() % octets.size());
    octets.shrink_to_fit();
    const auto message = parse_rndis_message(octets);
    ASSERT_TRUE(!message || message->info.size() <= octets.size());
  }
}

}  // namespace
}  // namespace usernic::cdc
