// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_netconsole.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/config.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kNics = R"([[nic]]
name = "nic0"
driver = "simnic"
addresses = ["fd09::1/64", "10.9.0.1/24"]
[[nic]]
name = "bare"
driver = "simnic"
[[nic]]
name = "v5"
driver = "vlan"
over = "bare"
[nic.vlan]
id = 5
)";

// Its netconsole, or the sentence.
std::expected<NetconsoleConfig, std::string> netconsole(const std::string& lines) {
  const auto config = parse_config(std::string(kNics) + "[netconsole]\n" + lines, "f");
  if (!config) return std::unexpected(config.error());
  return *config->netconsole;
}
std::string wrong(const std::string& lines) {
  const auto read = netconsole(lines);
  return read ? "nothing" : read.error();
}

TEST(ConfigNetconsole, HasWhereFromAndWhereTo) {
  const auto four = netconsole("nic = \"nic0\"\nremote = \"10.9.0.2:6666\"\n");
  ASSERT_TRUE(four) << four.error();
  EXPECT_EQ(four->nic, "nic0");
  EXPECT_EQ(four->local, std::string("\x0a\x09\x00\x01", 4));
  EXPECT_EQ(four->remote, std::string("\x0a\x09\x00\x02", 4));
  EXPECT_EQ(four->port, 6666);
  EXPECT_TRUE(four->remote_address.is_broadcast());
  const auto six = netconsole("nic = \"nic0\"\nremote = \"[fd09::2]:1\"\nremote_address = \"02:00:00:00:00:02\"\n");
  ASSERT_TRUE(six) << six.error();
  EXPECT_EQ(six->local.size(), 16u);
  EXPECT_EQ(six->local[15], 1);
  EXPECT_EQ(six->remote[15], 2);
  EXPECT_EQ(six->remote_address.to_string(), "02:00:00:00:00:02");
}

TEST(ConfigNetconsole, WhatIsWrongIsASentence) {
  const std::string remote = "remote = \"10.9.0.2:6666\"\n";
  EXPECT_EQ(wrong("nic = \"nic\"\n" + remote),
            "f:15: [netconsole] is of the nic 'nic', which the file does not have; did you mean 'nic0'?");
  EXPECT_EQ(wrong("nic = \"v5\"\n" + remote),
            "f:15: [netconsole] is of the nic 'v5', which is on top of others, whose queues it would have to wait for; "
            "name one of those");
  EXPECT_EQ(wrong("nic = \"bare\"\n" + remote),
            "f:16: the nic 'bare' has no IPv4 address that [netconsole] could send from; give it one in 'addresses'");
  EXPECT_TRUE(wrong(remote).contains("nic = \"nic0\"")) << wrong(remote);
  for (const char* bad : {"10.9.0.2", "10.9.0.2:", "10.9.0.2:0", "10.9.0.2:65536", "10.9.0.2:x", "fd09::2:6666",
                          "[10.9.0.2]:6666", "[fd09::2]", "224.0.0.1:6666", ":6666", ""}) {
    EXPECT_TRUE(
        wrong(fmt::format("nic = \"nic0\"\nremote = \"{}\"\n", bad)).contains("must be a unicast address and a port"))
        << bad << ": " << wrong(fmt::format("nic = \"nic0\"\nremote = \"{}\"\n", bad));
  }
  EXPECT_TRUE(wrong("nic = \"nic0\"\nremote_address = \"x\"\n" + remote).contains("must be an Ethernet address"));
  EXPECT_TRUE(parse_config(std::string("netconsole = 3\n") + std::string(kNics), "f")
                  .error()
                  .contains("write [netconsole], once, in single brackets"));
}

TEST(ConfigPoll, SaysHowManyThreadsAndWhere) {
  const auto config = parse_config(std::string(kNics) + "[poll]\nthreads = 2\ncpus = [1, 0]\n", "f");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->poll.threads, 2);
  EXPECT_EQ(config->poll.cpus, (std::vector<int>{1, 0}));
  for (const char* bad : {"[1, 1]", "[-1]", "[1024]", "[\"x\"]", "3"}) {
    EXPECT_FALSE(parse_config(fmt::format("{}[poll]\ncpus = {}\n", kNics, bad), "f")) << bad;
  }
}

}  // namespace
}  // namespace usernic::daemon
