// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_stacks.h"

#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/drivers.h"
#include "usernic/lower_link.h"

namespace usernic::daemon {
namespace {

// Three lines and those given.
std::string nic(const std::string& name, const std::string& driver, const std::string& lines = "") {
  const bool ends = lines.empty() || lines.ends_with('\n');
  return "[[nic]]\nname = \"" + name + "\"\ndriver = \"" + driver + "\"\n" + lines + (ends ? "" : "\n");
}
std::string low(const std::string& name, const std::string& lines = "") {
  return nic(name, "dummy", lines);
}
std::string vlan(const std::string& name, const std::string& over, int id, const std::string& lines = "") {
  return nic(name, "vlan", "over = \"" + over + "\"\nvlan = { id = " + std::to_string(id) + " }\n" + lines);
}
std::string bond(const std::string& name, const std::string& over, const std::string& lines = "") {
  return nic(name, "bond", "over = " + over + "\n" + lines);
}

std::string sentence(const std::string& text) {
  const auto config = parse_config(text, "f");
  return config ? "fine" : config.error();
}

std::vector<std::string> order(const std::string& text) {
  const auto config = parse_config(text, "f");
  std::vector<std::string> names;
  EXPECT_TRUE(config) << config.error();
  if (!config) return names;
  for (const NicConfig& each : config->nics) names.push_back(each.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(ConfigStacks, WhatIsBelowComesFirstAndTheRestStaysAsItIs) {
  EXPECT_EQ(order(low("b") + low("a") + vlan("v", "a", 5)), (Names{"b", "a", "v"}));
  EXPECT_EQ(order(vlan("top", "mid", 7) + bond("mid", R"(["b", "a"])") + low("c") + low("b") + low("a")),
            (Names{"c", "b", "a", "mid", "top"}));
}

TEST(ConfigStacks, WithoutAnMtuANicHasThatOfTheSmallestBelow) {
  const auto config = parse_config(
      vlan("v", "bond0", 5) + bond("bond0", R"(["a", "b"])") + low("a", "mtu = 9000") + low("b", "mtu = 4000"), "f");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->nics[2].mtu, 4000u);
  EXPECT_EQ(config->nics[3].mtu, 4000u);
}

TEST(ConfigStacks, ANicThatOnlyServesAnotherHasNoInterface) {
  const std::string hosts = "[[host]]\nname = \"h\"\n";
  const auto interface_of = [&](const std::string& lines) {
    const auto config = parse_config(hosts + low("a", lines) + vlan("v", "a", 5), "f");
    EXPECT_TRUE(config) << config.error();
    EXPECT_TRUE(config->nics.back().interface);
    return config->nics.front().interface;
  };
  EXPECT_FALSE(interface_of(""));
  EXPECT_TRUE(interface_of("interface = true"));
  EXPECT_TRUE(interface_of("host = \"h\""));
  EXPECT_TRUE(interface_of("addresses = [\"10.9.0.1/24\"]"));
  const auto alone = parse_config(low("a") + low("b", "interface = false"), "f");
  ASSERT_TRUE(alone);
  EXPECT_TRUE(alone->nics[0].interface);
  EXPECT_FALSE(alone->nics[1].interface);
}

TEST(ConfigStacks, WhatEachDriverReads) {
  const auto config = parse_config(low("a") + low("b") + low("c") + nic("m", "macvlan", "over = \"c\"") +
                                       bond("d", R"(["a", "b"])", "[nic.bond]\nprimary = \"b\""),
                                   "f");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->nics[3].driver->share(config->nics[3]).of, Share::Of::kSome);
}

TEST(ConfigStacks, WhatIsWrongIsOneSentence) {
  std::string tower = low("n0");
  for (int i = 1; i <= kStackMax; ++i) tower += vlan("n" + std::to_string(i), "n" + std::to_string(i - 1), 5);
  const struct {
    std::string text, says;
  } kBad[] = {
      {low("nic0") + vlan("v", "nic1", 5),
       "f:7: the nic 'v' is over 'nic1', which names no nic of the file; did you mean 'nic0'?"},
      {vlan("v", "v", 5), "f:4: the nic 'v' is over itself; below every nic there must be one that is over none"},
      {vlan("a", "b", 5) + vlan("b", "c", 5) + vlan("c", "b", 5),
       "f:4: the nic 'b' is over 'c', which is over 'b'; below every nic there must be one that is over none"},
      {tower, "f:42: the nic 'n8' is number 9 of those above each other; there are at most 8"},
      {low("a", "mtu = 1400") + vlan("v", "a", 5, "mtu = 1401"),
       "f:10: the nic 'v' has an mtu of 1401, but is over 'a', whose mtu is 1400; it must be at most that"},
      {low("a") + vlan("v", "a", 5) + vlan("w", "a", 5),
       "f:12: the nic 'w' takes the VLAN 5 of 'a', of which the nic 'v' in line 5 takes the VLAN 5; only one can"},
      {low("a") + bond("v", R"(["a"])") + nic("m", "macvlan", "over = \"a\""),
       "f:11: the nic 'm' takes frames of 'a', of which the nic 'v' in line 5 takes every frame; only one can"},
      {low("a") + nic("m", "macvlan", "over = \"a\"") +
           nic("p", "macvlan", "over = \"a\"\nmacvlan.mode = \"passthru\""),
       "f:11: the nic 'p' takes every frame of 'a', of which the nic 'm' in line 5 takes frames; only one can"},
      {low("a", "addresses = [\"10.9.0.1/24\"]") + bond("v", R"(["a"])"),
       "f:4: the nic 'a' has 'addresses', but the nic 'v' in line 6 takes every frame of it; give them to 'v'"},
      {"[[host]]\nname = \"h\"\n" + low("a", "host = \"h\"\ninterface = false"),
       "f:6: the nic 'a' has a 'host', but interface = false; leave one of them out"},
      {low("a", "over = \"b\""),
       "f:4: 'over' in [[nic]] belongs to a driver of devices on top of others, but this nic's driver is dummy"},
      {nic("v", "vlan", "vlan.id = 5"), "f:1: [[nic]] has no 'over'; write over = \"nic0\""},
      {nic("v", "bond"), "f:1: [[nic]] has no 'over'; write over = [\"nic0\", \"nic1\"]"},
      {bond("v", "[]"), "f:4: the nic 'v' is over none; name one at least"},
      {low("a") + nic("v", "vlan", "over = \"a\""), "f:5: [nic.vlan] has no 'id'; write id = 5"},
      {low("a") + vlan("v", "a", 4095), "f:8: 'id' in [nic.vlan] must be a whole number from 1 to 4094, not 4095"},
      {low("a") + low("b") + nic("v", "vlan", "over = [\"a\", \"b\"]\nvlan.id = 5"),
       "f:10: 'over' in [[nic]] must be one nic with the driver vlan, not 2"},
      {low("a") + bond("v", R"(["a", "a"])"),
       "f:7: 'over' in [[nic]] must be the name of a nic, or a list of them, each once; \"a\" is not"},
      {low("a") + bond("v", "7"),
       "f:7: 'over' in [[nic]] must be the name of a nic, or a list of them, each once, not a number"},
      {low("a") + nic("m", "macvlan", "over = \"a\"\nmacvlan.mode = \"vepa\""),
       "f:8: 'mode' in [nic.macvlan] must be \"bridge\" or \"private\" or \"passthru\", not \"vepa\""},
      {low("a") + nic("s", "bridge", "over = \"a\"\nbridge.static = [\"02:00:00:00:00:07 b\"]"),
       "f:8: 'static' in [nic.bridge] must be a list of a unicast address and one of 'over' each, like "
       "\"02:00:00:00:00:07 nic0\", each address once; \"02:00:00:00:00:07 b\" is not"},
      {low("a") + nic("x", "impair", "over = \"a\"\nimpair.delay_us = 5\nimpair.jitter_us = 6"),
       "f:9: in [nic.impair], jitter_us must be at most delay_us: no frame arrives before it was sent"},
      {low("a") + nic("x", "impair", "over = \"a\"\nimpair.reorder_ppm = 5\nimpair.reorder_us = 0"),
       "f:9: in [nic.impair], reorder_us must be at least 1 with reorder_ppm: what takes no longer is not overtaken"},
      {low("a") + bond("v", R"(["a"])") + nic("s", "bridge", "over = \"a\""),
       "f:11: the nic 's' takes every frame of 'a', of which the nic 'v' in line 5 takes every frame; only one can"},
      {low("a") + low("b") + bond("v", R"(["a", "b"])", "bond.primary = \"c\""),
       "f:11: 'primary' in [nic.bond] names 'c', which the nic is not over; there are a, b"},
      {low("a") + bond("v", R"(["a"])", "bond.mode = \"802.3ad\"\nbond.primary = \"a\""),
       "f:9: 'primary' in [nic.bond] belongs to the mode \"active-backup\"; in \"802.3ad\" all are used"},
  };
  for (const auto& [text, says] : kBad) EXPECT_EQ(sentence(text), says) << text;
}

TEST(ConfigStacks, ManyNicsAreSettledInNoTime) {
  std::string text = vlan("v", "n0", 5);
  for (int i = 0; i < 5'000; ++i)
    text += nic("n" + std::to_string(i), "vlan", "over = \"n" + std::to_string(i + 1) + "\"\nvlan.id = 5");
  EXPECT_TRUE(sentence(text + low("n5000")).contains("there are at most 8"));
}

}  // namespace
}  // namespace usernic::daemon
