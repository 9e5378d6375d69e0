// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netlink_socket.h"

#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstring>

#include "host/event_socket.h"
#include "host/namespace_fixture.h"
#include "host/rtnetlink.h"

namespace usernic {
namespace {

// A datagram under construction, aligned as the kernel's are.
struct Datagram {
  alignas(8) std::array<uint8_t, 256> bytes{};
  size_t size = 0;

  void message(uint32_t length, uint16_t type, size_t take) {
    nlmsghdr header{};
    header.nlmsg_len = length;
    header.nlmsg_type = type;
    std::memcpy(bytes.data() + size, &header, sizeof header);
    size += take;
  }
  std::span<const uint8_t> span() const { return {bytes.data(), size}; }
};

int count(const Datagram& datagram, bool& well_formed) {
  int messages = 0;
  well_formed = for_each_message(datagram.span(), [&](const nlmsghdr&) { ++messages; });
  return messages;
}

TEST(NetlinkDatagram, AnEmptyOneHasNoMessages) {
  bool well_formed = false;
  EXPECT_EQ(count({}, well_formed), 0);
  EXPECT_TRUE(well_formed);
}

TEST(NetlinkDatagram, MessagesFollowEachOtherAligned) {
  Datagram datagram;
  datagram.message(17, 16, 20);
  datagram.message(16, 16, 16);
  bool well_formed = false;
  EXPECT_EQ(count(datagram, well_formed), 2);
  EXPECT_TRUE(well_formed);
}

TEST(NetlinkDatagram, AMessageThatIsCutOffIsNotVisited) {
  for (size_t take : {1, 15, 16, 39}) {
    Datagram datagram;
    datagram.message(16, 16, 16);
    datagram.message(40, 16, take);
    bool well_formed = true;
    EXPECT_EQ(count(datagram, well_formed), 1) << take;
    EXPECT_FALSE(well_formed) << take;
  }
}

TEST(NetlinkDatagram, ImpossibleLengthsEndIt) {
  for (uint32_t length : {0u, 1u, 15u, 0xffff'fff0u, 0xffff'ffffu}) {
    Datagram datagram;
    datagram.message(length, 16, 64);
    bool well_formed = true;
    EXPECT_EQ(count(datagram, well_formed), 0) << length;
    EXPECT_FALSE(well_formed) << length;
  }
}

// Every prefix and every single wrong octet of real messages: whatever the parsers say, they read nothing beyond the
// message (ASan looks after that).
TEST(NetlinkMessages, HostileLengthsAreSurvived) {
  ifinfomsg link{};
  link.ifi_index = 3;
  NetlinkMessage message = netlink_message(RTM_NEWLINK, 0, &link, sizeof link);
  nla_put_u32(message.get(), IFLA_MTU, 1500);
  nla_put_u32(message.get(), IFLA_PROMISCUITY, 1);
  nla_put(message.get(), IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
  const nlmsghdr* header = nlmsg_hdr(message.get());
  const std::vector<uint8_t> good(reinterpret_cast<const uint8_t*>(header),
                                  reinterpret_cast<const uint8_t*>(header) + header->nlmsg_len);
  ASSERT_TRUE(parse_event(*header, 3));
  ASSERT_FALSE(parse_event(*header, 4));
  for (int type : {+RTM_NEWLINK, +RTM_DELLINK, +RTM_NEWNEIGH, +RTM_DELNEIGH, 56, 57}) {
    for (size_t at = 0; at < good.size(); ++at) {
      for (uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
        std::vector<uint8_t> bad = good;
        bad[at] = value;
        std::memcpy(bad.data() + 4, &type, sizeof(uint16_t));
        for_each_message(bad, [&](const nlmsghdr& visited) { (void)parse_event(visited, 3); });
      }
      std::vector<uint8_t> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(at));
      if (at >= sizeof(nlmsghdr)) {
        const auto length = static_cast<uint32_t>(at);
        std::memcpy(cut.data(), &length, sizeof length);
        std::memcpy(cut.data() + 4, &type, sizeof(uint16_t));
      }
      for_each_message(cut, [&](const nlmsghdr& visited) { (void)parse_event(visited, 3); });
    }
  }
}

TEST(NetlinkMessages, ABridgesWordAboutItsPortIsNotTheEndOfTheLink) {
  ifinfomsg link{};
  link.ifi_index = 3;
  EXPECT_TRUE(is_link_gone(*nlmsg_hdr(netlink_message(RTM_DELLINK, 0, &link, sizeof link).get()), 3));
  link.ifi_family = AF_BRIDGE;
  EXPECT_FALSE(is_link_gone(*nlmsg_hdr(netlink_message(RTM_DELLINK, 0, &link, sizeof link).get()), 3));
}

using NetlinkSocketTest = HostTest;

TEST_F(NetlinkSocketTest, TheKernelsOwnWordsReachTheError) {
  auto netns = NetNamespace::create();
  ASSERT_TRUE(netns);
  auto socket = NetlinkSocket::open(*netns, 16 * 1024, 64 * 1024);
  ASSERT_TRUE(socket);
  ifinfomsg header{};
  header.ifi_index = 1;
  const NetlinkMessage message = netlink_message(RTM_NEWLINK, 0, &header, sizeof header);
  nla_put_u32(message.get(), IFLA_NET_NS_FD, 0xffff);
  const auto refused = socket->command(*message);
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().sentence.empty());
}

TEST_F(NetlinkSocketTest, AnAnswerThatDoesNotFitIsAnError) {
  auto netns = NetNamespace::create();
  ASSERT_TRUE(netns);
  auto socket = NetlinkSocket::open(*netns, 128, 64 * 1024);
  ASSERT_TRUE(socket);
  const auto answer = socket->ask(*link_question(1), [](const nlmsghdr&) { FAIL(); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error, std::errc::message_size);
}

TEST_F(HostTest, ANetlinkSocketTakesItsDescriptorWithIt) {
  const auto netns = NetNamespace::create();
  ASSERT_TRUE(netns);
  int fd = -1;
  {
    const auto socket = NetlinkSocket::open(*netns, 8192, 65'536);
    ASSERT_TRUE(socket) << socket.error().sentence;
    fd = socket->fd();
    ASSERT_NE(::fcntl(fd, F_GETFD), -1);
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

}  // namespace
}  // namespace usernic
