// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/messages.h"

#include <gtest/gtest.h>

namespace usernic::ctl {
namespace {

const MacAddress kOwn = MacAddress::from_u64(0x020000000001);
const MacAddress kGroup = MacAddress::from_u64(0x333300000001);

// The shape that issue 2 fixes, key for key.
TEST(Messages, RxModeIsExactlyTheDocumentedObject) {
  RxModeReport report{.dev = "nic0", .address = kOwn, .up = true, .generation = {12, 12}};
  report.mode = {"exact", "hash", "17 multicast addresses, 16 slots"};
  report.failed.push_back({kGroup, "EIO", 3, 4000});
  EXPECT_EQ(to_text(to_json(report)),
            R"({"dev":"nic0","address":"02:00:00:00:00:01","up":true,"where":"home",)"
            R"("generation":{"wanted":12,"programmed":12},)"
            R"("mode":{"unicast":"exact","multicast":"hash","reason":"17 multicast addresses, 16 slots"},)"
            R"("wanted":{"unicast":[],"multicast":[],"promiscuity":0,"allmulti":0,"vlans":[]},)"
            R"("programmed":{"unicast":[],"multicast":[],"promisc":false,"allmulti":false,"vlans":[]},)"
            R"("failed":[{"address":"33:33:00:00:00:01","error":"EIO","attempts":3,"next_retry_ms":4000}],)"
            R"("stats":{"changes":0,"runs":0,"driver_calls":0,"coalesced":0,"retries":0,"failures":0,)"
            R"("lag_us":{"p50":0,"p99":0,"max":0}}})");
}

TEST(Messages, LinkIsExactlyTheDocumentedList) {
  const std::vector<LinkRow> rows{{.name = "lan7",
                                   .nic = "nic0",
                                   .driver = "simnic",
                                   .address = kOwn,
                                   .mtu = 1500,
                                   .up = true,
                                   .carrier = true,
                                   .host = "a",
                                   .where = "gone",
                                   .port = "tap",
                                   .io = "EPERM",
                                   .rx_queues = 2,
                                   .tx_queues = 4,
                                   .refused = RefusedWish{"MTU 9001", "EINVAL", 7},
                                   .rx_packets = 1,
                                   .tx_packets = 2,
                                   .rx_dropped = 3,
                                   .tx_dropped = 4,
                                   .rx_filtered = 5,
                                   .drops = {6, 7, 8, 9, 10, 11}}};
  EXPECT_EQ(to_text(to_json(rows)),
            R"([{"name":"lan7","nic":"nic0","driver":"simnic","address":"02:00:00:00:00:01","mtu":1500,"up":true,)"
            R"("carrier":true,"host":"a","where":"gone","port":"tap","io":"EPERM","rx_queues":2,"tx_queues":4,)"
            R"("refused":{"wish":"MTU 9001","answer":"EINVAL","at_us":7},)"
            R"("rx_packets":1,"tx_packets":2,"rx_dropped":3,"tx_dropped":4,"rx_filtered":5,)"
            R"("drops":{"filter":6,"ring_full":7,"too_long":8,"no_carrier":9,"refused":10,"overrun":11}}])");
  EXPECT_EQ(*from_json<std::vector<LinkRow>>(to_json(rows)), rows);
}

template <class Message>
void expect_round_trip(const Message& message) {
  const Json json = to_json(message);
  const auto back = from_json<Message>(*parse_json(to_text(json)));
  ASSERT_TRUE(back) << to_text(json);
  EXPECT_EQ(to_text(to_json(*back)), to_text(json));
}

TEST(Messages, SurviveTheWire) {
  RxModeReport report{.dev = "n", .address = kOwn};
  report.wanted = {{kOwn}, {kGroup}, 2, 1, {10, 20}};
  report.programmed = {{kOwn}, {kGroup}, true, true, {10}};
  report.failed.push_back({kGroup, "ENOSPC", 1, 0});
  report.stats = {1, 2, 3, 4, 5, 6, {7, 8, UINT64_MAX}};
  expect_round_trip(report);
  expect_round_trip(StatsReport{.dev = "n",
                                .rx = {1, 2, 3, 4},
                                .tx = {5, 6, 7, 8},
                                .rx_queues = {{1, 2, 3}},
                                .tx_queues = {{4, 5, 6}, {7, 8, 9}}});
  expect_round_trip(EthtoolReport{.dev = "n", .counters = std::vector<EthtoolReport::Counter>{{"rx_fifo", 3}}});
  expect_round_trip(WaitReport{.covered = false, .missing = {kGroup}, .reason = "r"});
  expect_round_trip(AddressReport{.covered = true, .wanted_at_us = 5, .covered_at_us = 9, .mode = "hash"});
  expect_round_trip(
      BurstReport{.changes = 10, .driver_calls = 2, .change_p99_us = 0.25, .settled_us = 7, .settled = true});
  expect_round_trip(Event{.what = "link", .link = LinkRow{.name = "n"}});
  expect_round_trip(Event{.what = "rx-mode", .dev = "n", .generation = {2, 1}, .mode = {"exact", "hash", ""}});
  expect_round_trip(Event{.what = "hang", .dev = "n", .says = "waits"});
  expect_round_trip(Event{.what = "report", .says = "a\nb\n"});
  expect_round_trip(Event{.what = "notice", .dev = "n", .says = "a queue that nobody wakes"});
  expect_round_trip(HelloReport{.version = "1", .protocol = 1, .pid = 3, .hosts = {"a", "b"}});
}

TEST(Messages, MissingOrMistypedFieldsAreRefused) {
  for (const char* text : {"{}", "[]", "3", R"({"covered":1,"missing":[],"reason":""})",
                           R"({"covered":true,"missing":["xx"],"reason":""})",
                           R"({"covered":true,"missing":{},"reason":""})", R"({"covered":true,"missing":[]})"}) {
    EXPECT_FALSE(from_json<WaitReport>(*parse_json(text))) << text;
  }
}

TEST(Request, SurvivesTheWire) {
  const Request request{.verb = "wait", .dev = "nic0", .host = "a", .address = kGroup, .timeout_ms = 5, .changes = 7};
  std::string line = request_line(request);
  ASSERT_EQ(line.back(), '\n');
  line.pop_back();
  const auto back = parse_request(line);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(back->verb, "wait");
  EXPECT_EQ(back->dev, "nic0");
  EXPECT_EQ(back->host, "a");
  EXPECT_EQ(*back->address, kGroup);
  EXPECT_EQ(back->timeout_ms, 5u);
  EXPECT_EQ(back->changes, 7u);
}

TEST(Request, ThatMakesNoSenseIsASentence) {
  const struct {
    const char* line;
    const char* sentence;
  } kBad[] = {
      {"", "a request is one JSON object on one line"},
      {"hello", "a request is one JSON object on one line"},
      {"[]", "a request has \"v\", the protocol version"},
      {"{}", "a request has \"v\", the protocol version"},
      {R"({"v":"1","verb":"link"})", "a request has \"v\", the protocol version"},
      {R"({"v":2,"verb":"link"})", "this usernic speaks version 1 of the protocol, not 2"},
      {R"({"v":1})", "a request has \"verb\", a text"},
      {R"({"v":1,"verb":7})", "a request has \"verb\", a text"},
      {R"({"v":1,"verb":"stats","dev":7})", "\"dev\" is the name of a nic"},
      {R"({"v":1,"verb":"x","address":"1:2"})", "\"address\" is an address like \"33:33:00:00:00:01\""},
      {R"({"v":1,"verb":"x","timeout_ms":-1})", "\"timeout_ms\" is a number from 0 to 3600000"},
      {R"({"v":1,"verb":"x","timeout_ms":3600001})", "\"timeout_ms\" is a number from 0 to 3600000"},
      {R"({"v":1,"verb":"x","changes":1.5})", "\"changes\" is a number from 0 to 1000000"},
  };
  for (const auto& bad : kBad) {
    const auto request = parse_request(bad.line);
    ASSERT_FALSE(request) << bad.line;
    EXPECT_EQ(request.error(), bad.sentence) << bad.line;
  }
}

TEST(Answer, IsTheResultOrTheSentence) {
  EXPECT_EQ(to_text(*parse_answer(R"({"v":1,"ok":true,"result":[1]})")), "[1]");
  EXPECT_EQ(parse_answer(R"({"v":1,"ok":false,"error":"no"})").error(), "no");
  EXPECT_EQ(parse_answer(R"({"v":1,"ok":false,"error":7})").error(), "the daemon refused and did not say why");
  for (const char* garbage : {"", "{}", R"({"ok":1})", R"({"ok":true})"}) {
    EXPECT_FALSE(parse_answer(garbage)) << garbage;
  }
}

}  // namespace
}  // namespace usernic::ctl
