// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/show.h"

#include <gtest/gtest.h>

#include "usernic/rx_mode.h"

namespace usernic::cli {
namespace {

const MacAddress kOwn = MacAddress::from_u64(0x020000000001);
const MacAddress kUnicast = MacAddress::from_u64(0x020000000077);
const MacAddress kGroup4 = MacAddress::from_u64(0x01005e000001);
const MacAddress kGroup6 = MacAddress::from_u64(0x333300000001);

TEST(Show, Links) {
  const std::vector<ctl::LinkRow> rows{{.name = "nic0",
                                        .nic = "nic0",
                                        .driver = "simnic",
                                        .address = kOwn,
                                        .mtu = 1500,
                                        .up = true,
                                        .carrier = true,
                                        .host = "a",
                                        .rx_packets = 1234567,
                                        .tx_packets = 20},
                                       {.name = "long-name-123",
                                        .nic = "long-name-123",
                                        .driver = "dummy",
                                        .address = kUnicast,
                                        .mtu = 68,
                                        .rx_dropped = 3}};
  EXPECT_EQ(
      show_links(rows),
      "NAME           DRIVER  ADDRESS             MTU  STATE  CARRIER  HOST       RX  TX  RX DROPPED  TX DROPPED\n"
      "nic0           simnic  02:00:00:00:00:01  1500  up     yes      a     1234567  20           0           0\n"
      "long-name-123  dummy   02:00:00:00:00:77    68  down   no       -           0   0           3           0\n");
  const auto how = [](const char* io, const char* port = "tap") {
    const std::string text = show_links({{.name = "nic0", .nic = "nic0", .port = port, .io = io}}, true);
    return text.substr(text.rfind("nic0"));
  };
  EXPECT_EQ(how("io_uring"), "nic0: a TAP; batches of frames go to the kernel and back by io_uring\n");
  EXPECT_EQ(how("EPERM"), "nic0: a TAP; a system call a frame: io_uring cannot be had here (EPERM)\n");
  EXPECT_EQ(how("calls"), "nic0: a TAP; a system call a frame: there was no batch yet that is worth io_uring\n");
  EXPECT_EQ(how("mmsg", "veth"),
            "nic0: a veth; batches of frames go to the kernel and back by sendmmsg and recvmmsg\n");
  EXPECT_EQ(how("", ""), "nic0: no frame goes to the kernel\n");
  EXPECT_TRUE(show_links({{.name = "nic0", .nic = "nic0", .io = "", .rx_queues = 4, .tx_queues = 1}}, true)
                  .ends_with("nic0: no frame goes to the kernel; 4 RX queues and 1 TX queue\n"));
  EXPECT_EQ(show_links({}), "NAME  DRIVER  ADDRESS  MTU  STATE  CARRIER  HOST  RX  TX  RX DROPPED  TX DROPPED\n");
}

ctl::RxModeReport report() {
  ctl::RxModeReport report{.dev = "nic0", .address = kOwn, .up = true, .generation = {12, 12}};
  report.mode = {"exact", "hash", "17 multicast addresses, 16 slots"};
  report.wanted.unicast = {kUnicast};
  report.wanted.multicast = {kGroup4, kGroup6};
  report.programmed.unicast = {kUnicast};
  report.programmed.multicast = {kGroup4};
  report.stats = {.changes = 30,
                  .runs = 4,
                  .driver_calls = 5,
                  .coalesced = 26,
                  .retries = 1,
                  .failures = 2,
                  .lag_us = {850, 12'345, 1'200'000}};
  return report;
}

TEST(Show, RxMode) {
  ctl::RxModeReport r = report();
  r.generation = {12, 10};
  r.failed.push_back({kGroup6, "EIO", 3, 4000});
  EXPECT_EQ(show_rx_mode(r),
            "nic0  02:00:00:00:00:01  up  generation 12 wanted, 10 in effect\n"
            "  unicast    exact\n"
            "  multicast  hash\n"
            "  because    17 multicast addresses, 16 slots\n"
            "\n"
            "ADDRESS            CLASS      WANTED  CARD\n"
            "02:00:00:00:00:77  unicast    yes     yes\n"
            "01:00:5e:00:00:01  multicast  yes     yes\n"
            "33:33:00:00:00:01  multicast  yes     no, EIO after 3 tries, again in 4.00 s\n"
            "\n"
            "30 changes, 4 runs, 5 driver calls, 26 coalesced, 1 retry, 2 failures\n"
            "from a change to its being in effect: median 850 us, p99 12.3 ms, max 1.20 s\n");
}

TEST(Show, OneIsNotMany) {
  ctl::RxModeReport r = report();
  r.wanted.allmulti = 1;
  r.stats = {.changes = 1, .runs = 1, .driver_calls = 1, .coalesced = 1, .retries = 1, .failures = 1, .lag_us = {}};
  r.failed.push_back({kGroup6, "EIO", 1, 0});
  const std::string text = show_rx_mode(r);
  EXPECT_NE(text.find("\n1 change, 1 run, 1 driver call, 1 coalesced, 1 retry, 1 failure\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("  allmulti   wanted 1 time, card off\n"), std::string::npos) << text;
  EXPECT_NE(text.find("no, EIO after 1 try\n"), std::string::npos) << text;
}

TEST(Show, WhatWasNotTriedHasNoTries) {
  ctl::RxModeReport r = report();
  r.failed.push_back({kGroup6, "ENOSPC", 0, 0});
  EXPECT_NE(show_rx_mode(r).find("no, ENOSPC, not tried\n"), std::string::npos) << show_rx_mode(r);
}

TEST(Show, RxModeTellsWhatCoversAnAddressWithoutAnEntry) {
  ctl::RxModeReport r = report();
  r.programmed.unicast = {};
  r.programmed.allmulti = true;
  r.wanted.allmulti = 2;
  std::string text = show_rx_mode(r);
  EXPECT_NE(text.find("  allmulti   wanted 2 times, card on\n"), std::string::npos) << text;
  EXPECT_NE(text.find("33:33:00:00:00:01  multicast  yes     by allmulti\n"), std::string::npos) << text;
  EXPECT_NE(text.find("02:00:00:00:00:77  unicast    yes     no\n"), std::string::npos) << text;
  r.programmed.promisc = true;
  text = show_rx_mode(r);
  EXPECT_NE(text.find("  promisc    wanted 0 times, card on\n"), std::string::npos) << text;
  EXPECT_NE(text.find("02:00:00:00:00:77  unicast    yes     by promisc\n"), std::string::npos) << text;
}

TEST(Show, RxModeOfADeviceWithNothingWanted) {
  ctl::RxModeReport r{.dev = "n", .address = kOwn, .mode = {"none", "none", ""}};
  r.wanted.vlans = {10, 20};
  EXPECT_EQ(show_rx_mode(r),
            "n  02:00:00:00:00:01  down  generation 0, in effect\n"
            "  unicast    none\n"
            "  multicast  none\n"
            "  vlans      wanted 10 20, card: none\n"
            "\n"
            "0 changes, 0 runs, 0 driver calls, 0 coalesced, 0 retries, 0 failures\n"
            "from a change to its being in effect: none yet\n");
}

TEST(Show, RxModeTellsWhatTheCardDoesAboutVlans) {
  ctl::RxModeReport r = report();
  r.wanted.vlans = {1, 2, 3};
  r.programmed.vlans = {1, 2, 3};
  std::string text = show_rx_mode(r);
  EXPECT_NE(text.find("  vlans      wanted 1 2 3, card: 1 2 3\n"), std::string::npos) << text;
  r.programmed.vlans = {};
  r.mode.reason = "17 multicast addresses, 16 slots; 3 VLANs, 2 slots: filter open";
  text = show_rx_mode(r);
  EXPECT_NE(text.find("  vlans      wanted 1 2 3, card: filter open\n"), std::string::npos) << text;
  r.wanted.vlans = {};
  r.programmed.vlans = {1};
  text = show_rx_mode(r);
  EXPECT_NE(text.find("  vlans      wanted none, card: 1\n"), std::string::npos) << text;
}

TEST(Show, Stats) {
  const ctl::StatsReport r{.dev = "nic0",
                           .rx = {1, 64, 0, 0, 11, 12, 1, 13},
                           .tx = {100, 6400, 2, 0, 14, 15, 1},
                           .drops = {11, 3, 15, 12, 13, 9}};
  EXPECT_EQ(
      show_stats(r),
      "nic0  PACKETS  BYTES  DROPPED  ERRORS\n"
      "rx          1     64        0       0\n"
      "tx        100   6400        2       0\n"
      "\n"
      "went no further: 11 by the filter, 3 with the ring full, 15 too long, 12 without carrier, 13 refused by the "
      "kernel, 9 before they were read\n"
      "a TX queue was stopped for too long: 1 time\n"
      "flow control: waited 1 time, made others wait 14 times\n"
      "rx mode: 0 changes, 0 runs, 0 driver calls, 0 coalesced, 0 retries, 0 failures\n"
      "from a change to its being in effect: none yet\n");
}

TEST(Show, StatsOfEachOfSeveralQueues) {
  const ctl::StatsReport r{.dev = "nic0",
                           .rx = {.packets = 30, .bytes = 1800},
                           .tx = {.packets = 7, .bytes = 420},
                           .rx_queues = {{10, 600, 0}, {20, 1200, 3}},
                           .tx_queues = {{7, 420, 0}}};
  EXPECT_TRUE(
      show_stats(r).starts_with("nic0        PACKETS  BYTES  DROPPED  ERRORS\n"
                                "rx               30   1800        0       0\n"
                                "rx queue 0       10    600        0\n"
                                "rx queue 1       20   1200        3\n"
                                "tx                7    420        0       0\n"
                                "\n"))
      << show_stats(r);
}

TEST(Show, Events) {
  const ctl::LinkRow row{
      .name = "nic0", .nic = "nic0", .driver = "simnic", .address = kOwn, .mtu = 1500, .up = true, .host = "a"};
  EXPECT_EQ(show_event({.what = "link", .link = row}),
            "link  nic0  02:00:00:00:00:01  mtu 1500  up  no carrier  host a\n");
  ctl::LinkRow moved = row;
  moved.name = "lan7", moved.where = "net:[7]", moved.refused = ctl::RefusedWish{"MTU 9001", "EINVAL", 1};
  EXPECT_TRUE(show_event({.what = "link", .link = moved})
                  .starts_with("link  lan7 (nic0)  02:00:00:00:00:01  mtu 1500  up  no carrier  host a, moved to "
                               "net:[7]  refused \"MTU 9001\": EINVAL, "));
  moved.where = "gone";
  EXPECT_TRUE(show_event({.what = "link-gone", .link = moved}).contains("  gone  no carrier  host a  "));
  ctl::LinkRow hidden = row;
  hidden.where = "none", hidden.host = "";
  EXPECT_TRUE(show_event({.what = "link", .link = hidden}).contains("  up  no carrier  no interface\n"));
  EXPECT_EQ(show_event({.what = "rx-mode", .dev = "nic0", .generation = {5, 4}, .mode = {"exact", "hash", "why"}}),
            "rx-mode  nic0  generation 5 wanted, 4 in effect  unicast exact  multicast hash  (why)\n");
}

TEST(Show, WhatGoesWrong) {
  EXPECT_EQ(show_event({.what = "hang", .dev = "nic0", .says = "nic0 waits"}), "hang  nic0 waits\n");
  EXPECT_EQ(show_event({.what = "report", .says = "a\nb\n"}), "report  a\nb\n");
}

TEST(Show, Times) {
  EXPECT_EQ(show_time(0), "0 us");
  EXPECT_EQ(show_time(999), "999 us");
  EXPECT_EQ(show_time(1000), "1.0 ms");
  EXPECT_EQ(show_time(2'345'678), "2.35 s");
}

}  // namespace
}  // namespace usernic::cli
