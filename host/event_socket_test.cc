// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/event_socket.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>

#include "host/tap_fixture.h"

namespace usernic {
namespace {

using Kind = HostEvent::Kind;

class EventSocketTest : public TapFixture {
 protected:
  void SetUp() override {
    TapFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto events = EventSocket::open(*netns_);
    ASSERT_TRUE(events) << events.error().sentence;
    events_.emplace(std::move(*events));
  }

  // Everything that waits, after what the command announced has come: an announcement is sent before a command ends.
  std::vector<HostEvent> events_of(const std::string& command) {
    shell(command);
    std::vector<InterfaceEvent> heard;
    while (events_->read(heard, [this](int ifindex) { return ifindex == ifindex_; })) {
    }
    std::vector<HostEvent> events;
    for (const InterfaceEvent& each : heard) events.push_back(each.event);
    return events;
  }
  static bool has(const std::vector<HostEvent>& events, Kind kind, const char* address = "00:00:00:00:00:00") {
    return std::ranges::any_of(events, [&](const HostEvent& event) {
      return event.kind == kind && event.address == *MacAddress::parse(address);
    });
  }

  std::optional<EventSocket> events_;
};

TEST_F(EventSocketTest, LinkChangesAreAnnounced) {
  EXPECT_TRUE(has(events_of("ip link set tap0 mtu 1400"), Kind::kLinkChanged));
  EXPECT_TRUE(has(events_of("ip link set tap0 up"), Kind::kLinkChanged));
  EXPECT_TRUE(has(events_of("ip link set tap0 promisc on"), Kind::kLinkChanged));
  EXPECT_TRUE(events_of("ip link set lo mtu 1400").empty()) << "of another interface";
}

TEST_F(EventSocketTest, FdbEntriesAreAnnounced) {
  events_of("ip link set tap0 up");
  for (const char* address : {"02:00:00:00:00:77", "01:00:5e:01:02:03"}) {
    const std::string entry = std::string(address) + " dev tap0 self";
    EXPECT_TRUE(has(events_of("bridge fdb add " + entry), Kind::kAddressAdded, address));
    EXPECT_TRUE(has(events_of("bridge fdb del " + entry), Kind::kAddressDeleted, address));
  }
}

TEST_F(EventSocketTest, TheEndOfTheLinkIsAnnounced) {
  EXPECT_TRUE(has(events_of("ip link del tap0"), Kind::kLinkGone));
}

TEST_F(EventSocketTest, JoinsAreAnnouncedWithTheEthernetAddressOfTheGroup) {
  if (!events_->joins_are_announced()) GTEST_SKIP() << "this kernel is silent about joins";
  const auto up = events_of("ip link set tap0 up; ip address add 10.9.0.1/24 dev tap0");
  EXPECT_TRUE(has(up, Kind::kAddressAdded, "01:00:5e:00:00:01")) << "224.0.0.1";
  const auto joined = events_of(
      "python3 -c 'import socket, struct\n"
      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
      "s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(\"239.129.2.3\") + socket.inet_aton(\"10.9.0.1\"))\n"
      "t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
      "t.setsockopt(41, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, \"ff05::1:2:3\")"
      " + struct.pack(\"I\", socket.if_nametoindex(\"tap0\")))'");
  EXPECT_TRUE(has(joined, Kind::kAddressAdded, "01:00:5e:01:02:03")) << "the group's low 23 bits";
  EXPECT_TRUE(has(joined, Kind::kAddressDeleted, "01:00:5e:01:02:03"));
  EXPECT_TRUE(has(joined, Kind::kAddressAdded, "33:33:00:02:00:03")) << "the group's low 32 bits";
  EXPECT_TRUE(has(joined, Kind::kAddressDeleted, "33:33:00:02:00:03"));
}

TEST_F(EventSocketTest, WhatIsLostBecomesAHint) {
  // More announcements than fit, which nobody reads meanwhile.
  const auto events = events_of(
      "for i in $(seq 250); do for j in $(seq 50); do echo link set tap0 mtu $((1000 + j)); done; done > /tmp/$$.batch;"
      "ip -batch /tmp/$$.batch; rm /tmp/$$.batch");
  EXPECT_TRUE(has(events, Kind::kEventsLost)) << events.size();
}

}  // namespace
}  // namespace usernic
