// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "ctl/no_more_descriptors.h"
#include "daemon/config_keys.h"
#include "daemon/config_names.h"
#include "daemon/drivers.h"
#include "drivers/simnic/config.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kIssueExample = R"([[host]]
name = "a"
[[nic]]
name = "nic0"                     # the interface the kernel shows
host = "a"
driver = "simnic"
address = "02:00:00:00:00:01"     # optional
mtu = 1500
addresses = ["10.9.0.1/24"]       # optional, put on the interface
[nic.simnic]
wire = "w0"
unicast_slots = 8
multicast_slots = 16
multicast_hash_bits = 64
command_latency_us = 10000
)";

SimnicConfig card_of(const NicConfig& nic) {
  return std::any_cast<const SimnicConfig&>(nic.section);
}

TEST(Config, TakesTheExampleOfTheIssue) {
  const auto config = parse_config(kIssueExample, "f");
  ASSERT_TRUE(config) << config.error();
  ASSERT_EQ(config->hosts.size(), 1u);
  ASSERT_EQ(config->nics.size(), 1u);
  const NicConfig& nic = config->nics[0];
  EXPECT_EQ(nic.name, "nic0");
  EXPECT_EQ(nic.host, "a");
  EXPECT_EQ(nic.driver, find_driver("simnic"));
  EXPECT_EQ(nic.address, MacAddress::from_u64(0x020000000001));
  EXPECT_EQ(nic.addresses.at(0), "10.9.0.1/24");
  EXPECT_EQ(card_of(nic).multicast_slots, 16u);
  EXPECT_EQ(card_of(nic).command_latency_us, 10000u);
  EXPECT_FALSE(nic.vlans);
}

TEST(Config, TakesEveryKey) {
  const auto config = parse_config(R"(
[[host]]
name = "blue"
netns = "blue"
[[nic]]
name = "x.1"
driver = "simnic"
vlans = [1, 4094]
addresses = ["fd09::1/64", "10.0.0.1/32"]
simnic = { wire = "w", unicast_slots = 1, shared_slots = true, unicast_hash_bits = 64, vlan_slots = 3, promisc = false }
[[nic]]
name = "plain"
host = "blue"
driver = "dummy"
)",
                                   "f");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->hosts[0].netns, "blue");
  EXPECT_EQ(config->nics[0].host, "");
  EXPECT_EQ(*config->nics[0].vlans, (std::vector<uint16_t>{1, 4094}));
  EXPECT_EQ(config->nics[0].addresses[0], "fd09::1/64");
  EXPECT_TRUE(card_of(config->nics[0]).shared_slots);
  EXPECT_FALSE(card_of(config->nics[0]).promisc);
  EXPECT_EQ(config->nics[1].driver, find_driver("dummy"));
}

TEST(Config, DefaultIsOneThatAFileCouldHave) {
  const auto config = parse_config(default_config(), "built-in");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->hosts.size(), 2u);
  EXPECT_EQ(config->nics.size(), 2u);
  EXPECT_EQ(card_of(config->nics[0]).wire, card_of(config->nics[1]).wire);
}

struct Bad {
  const char* what;
  std::string text;
  const char* sentence;
};
void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.what;
}

class BadConfig : public testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsOneSentenceWithFileLineAndWhatWouldBeRight) {
  const auto config = parse_config(GetParam().text, "lab.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error(), GetParam().sentence);
}

// A nic that is right but for the lines given, which start in line 4.
std::string nic_with(const std::string& lines) {
  return "[[nic]]\nname = \"n\"\ndriver = \"simnic\"\n" + lines + "\n";
}

const Bad kBad[] = {
    {"empty", "", "lab.toml:1: the file has no [[nic]]; it needs at least one, with a name and a driver"},
    {"unknown key of a nic", nic_with("adress = \"02:00:00:00:00:01\""),
     "lab.toml:4: unknown key 'adress' in [[nic]]; did you mean 'address'?"},
    {"unknown key of a host", "[[host]]\nname = \"a\"\ncolour = 1\n",
     "lab.toml:3: unknown key 'colour' in [[host]]; there are name, netns"},
    {"unknown key of the file", nic_with("") + "[[hosts]]\nname = \"a\"\n",
     "lab.toml:5: unknown key 'hosts' in the file; did you mean 'host'?"},
    {"unknown key of simnic", nic_with("[nic.simnic]\nunicast_slot = 1"),
     "lab.toml:5: unknown key 'unicast_slot' in [nic.simnic]; did you mean 'unicast_slots'?"},
    {"unknown section", nic_with("[nic.simnik]\nwire = \"w\""),
     "lab.toml:4: unknown key 'simnik' in [[nic]]; did you mean 'simnic'?"},
    {"mtu is a text", nic_with("mtu = \"1500\""),
     "lab.toml:4: 'mtu' in [[nic]] must be a whole number from 68 to 9000, not a text"},
    {"mtu is too large", nic_with("mtu = 9001"),
     "lab.toml:4: 'mtu' in [[nic]] must be a whole number from 68 to 9000, not 9001"},
    {"name is a number", "[[nic]]\nname = 3\ndriver = \"dummy\"\n",
     "lab.toml:2: 'name' in [[nic]] must be a text in quotes, like \"nic0\", not a number"},
    {"slots of -1", nic_with("[nic.simnic]\nunicast_slots = -1"),
     "lab.toml:5: 'unicast_slots' in [nic.simnic] must be a whole number from 0 to 65536, not -1"},
    {"slots with a fraction", nic_with("[nic.simnic]\n\nmulticast_slots = 1.5"),
     "lab.toml:6: 'multicast_slots' in [nic.simnic] must be a whole number from 0 to 65536, not a number with a "
     "fraction"},
    {"hash of an odd size", nic_with("[nic.simnic]\nmulticast_hash_bits = 63"),
     "lab.toml:5: in [nic.simnic], multicast_hash_bits is 63, it must be a power of two up to 4096"},
    {"shared_slots is a number", nic_with("[nic.simnic]\nshared_slots = 1"),
     "lab.toml:5: 'shared_slots' in [nic.simnic] must be true or false, not a number"},
    {"simnic is a number", nic_with("simnic = 1"),
     "lab.toml:4: 'simnic' in [[nic]] must be a table: write [nic.simnic]"},
    {"missing driver", "[[nic]]\nname = \"n\"\n", "lab.toml:1: [[nic]] has no 'driver'; write driver = \"simnic\""},
    {"missing name", "[[nic]]\ndriver = \"dummy\"\n", "lab.toml:1: [[nic]] has no 'name'; write name = \"nic0\""},
    {"misspelt name of a host", "[[host]]\nnam = \"a\"\n" + nic_with(""),
     "lab.toml:2: unknown key 'nam' in [[host]]; did you mean 'name'?"},
    {"misspelt name of a nic", "[[nic]]\nnmae = \"n\"\ndriver = \"dummy\"\n",
     "lab.toml:2: unknown key 'nmae' in [[nic]]; did you mean 'name'?"},
    {"misspelt driver", "[[nic]]\nname = \"n\"\ndirver = \"dummy\"\n",
     "lab.toml:3: unknown key 'dirver' in [[nic]]; did you mean 'driver'?"},
    {"missing name, and an unknown key that is no name", "[[nic]]\ncolour = 1\ndriver = \"dummy\"\n",
     "lab.toml:1: [[nic]] has no 'name'; write name = \"nic0\""},
    {"unknown driver", "[[nic]]\nname = \"n\"\ndriver = \"simnik\"\n",
     "lab.toml:3: 'driver' in [[nic]] names no driver: 'simnik'; did you mean 'simnic'?"},
    {"driver from elsewhere", "[[nic]]\nname = \"n\"\ndriver = \"e1000e\"\n",
     "lab.toml:3: 'driver' in [[nic]] names no driver: 'e1000e'; there are dummy, simnic, rtl8150, lan78xx, cdc, "
     "packet, vlan, macvlan, bond, bridge, impair"},
    {"interface that is a card without its name", "[[nic]]\nname = \"n\"\ndriver = \"packet\"\n",
     "lab.toml:3: 'driver' in [[nic]] is packet, whose card is an interface of this machine; write bus = \"eth1\""},
    {"interface as the bus of a card of software", "[[nic]]\nname = \"n\"\ndriver = \"simnic\"\nbus = \"usb:1-1\"\n",
     "lab.toml:4: 'bus' in [[nic]] belongs to a USB driver, or to packet, but this nic's driver is simnic"},
    {"USB device as a card that is an interface", "[[nic]]\nname = \"n\"\ndriver = \"packet\"\nbus = \"usb:1-1\"\n",
     "lab.toml:4: 'bus' in [[nic]] must be 1 to 15 letters, digits, '-', '_' or '.', like \"nic0\""},
    {"section of another driver", "[[nic]]\nname = \"n\"\ndriver = \"dummy\"\n[nic.simnic]\nwire = \"w\"\n",
     "lab.toml:4: 'simnic' in [[nic]] belongs to the driver simnic, but this nic's driver is dummy"},
    {"malformed address", nic_with("address = \"02:00:00:00:00\""),
     "lab.toml:4: 'address' in [[nic]] must be a unicast address like \"02:00:00:00:00:01\", not \"02:00:00:00:00\""},
    {"multicast address", nic_with("address = \"01:00:5e:00:00:01\""),
     "lab.toml:4: 'address' in [[nic]] must be a unicast address like \"02:00:00:00:00:01\", not "
     "\"01:00:5e:00:00:01\""},
    {"interface name too long", "[[nic]]\nname = \"abcdefghijklmnop\"\ndriver = \"dummy\"\n",
     "lab.toml:2: 'name' in [[nic]] must be 1 to 15 letters, digits, '-', '_' or '.', like \"nic0\""},
    {"interface name with a slash", "[[nic]]\nname = \"a/b\"\ndriver = \"dummy\"\n",
     "lab.toml:2: 'name' in [[nic]] must be 1 to 15 letters, digits, '-', '_' or '.', like \"nic0\""},
    {"interface called lo", "[[nic]]\nname = \"lo\"\ndriver = \"dummy\"\n",
     "lab.toml:2: 'name' in [[nic]] is a name that the kernel keeps for itself"},
    {"two nics of one name", nic_with("") + nic_with(""),
     "lab.toml:6: a second nic is called 'n', like the one in line 2; names must be unique"},
    {"two hosts of one name", "[[host]]\nname = \"a\"\n[[host]]\nname = \"a\"\n" + nic_with("host = \"a\""),
     "lab.toml:4: a second host is called 'a', like the one in line 2; names must be unique"},
    {"two nics of one address",
     nic_with("address = \"02:00:00:00:00:01\"") +
         "[[nic]]\nname = \"m\"\ndriver = \"dummy\"\naddress = \"02:00:00:00:00:01\"\n",
     "lab.toml:8: the nic 'm' has the address 02:00:00:00:00:01 of the nic 'n' in line 4; addresses must differ"},
    {"no such host", "[[host]]\nname = \"alpha\"\n" + nic_with("host = \"alhpa\""),
     "lab.toml:6: the nic 'n' is on the host 'alhpa', which the file does not have; did you mean 'alpha'?"},
    {"no such host of one letter", "[[host]]\nname = \"a\"\n" + nic_with("host = \"z\""),
     "lab.toml:6: the nic 'n' is on the host 'z', which the file does not have; there is a"},
    {"no host at all", nic_with("host = \"a\""),
     "lab.toml:4: the nic 'n' is on the host 'a', which the file does not have; add [[host]] with that name"},
    {"host is a list", nic_with("host = [\"a\"]"),
     "lab.toml:4: 'host' in [[nic]] must be a text in quotes, like \"a\", not a list"},
    {"netns with a slash", "[[host]]\nname = \"a\"\nnetns = \"../x\"\n" + nic_with("host = \"a\""),
     "lab.toml:3: 'netns' in [[host]] must be a name that 'ip netns list' shows"},
    {"addresses is a text", nic_with("addresses = \"10.9.0.1/24\""),
     "lab.toml:4: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once, not a text"},
    {"address without prefix", nic_with("addresses = [\"10.9.0.1\"]"),
     "lab.toml:4: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; "
     "\"10.9.0.1\" is not"},
    {"prefix too long", nic_with("addresses = [\"10.9.0.1/24\",\n\"10.9.0.1/33\"]"),
     "lab.toml:5: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; "
     "\"10.9.0.1/33\" is not"},
    {"address twice", nic_with("addresses = [\"10.9.0.1/24\",\n\"10.9.0.1/16\"]"),
     "lab.toml:5: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; \"10.9.0.1/16\" is not"},
    {"unspecified address", nic_with("addresses = [\"0.0.0.0/0\"]"),
     "lab.toml:4: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; \"0.0.0.0/0\" is not"},
    {"IPv6 group among the addresses", nic_with("addresses = [\"ff02::1/64\"]"),
     "lab.toml:4: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; \"ff02::1/64\" is not"},
    {"loopback of IPv6", nic_with("addresses = [\"fd09::1/64\", \"::1/128\"]"),
     "lab.toml:4: 'addresses' in [[nic]] must be a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", "
     "not ::1, each once; \"::1/128\" is not"},
    {"mtu too small for IPv6", nic_with("addresses = [\"10.9.0.1/24\", \"fd09::1/64\"]\nmtu = 1279"),
     "lab.toml:5: the nic 'n' has the IPv6 address fd09::1/64, but its mtu is 1279; IPv6 needs an mtu of at least "
     "1280"},
    {"endless key", nic_with(std::string(100'000, 'k') + " = 1"),
     "lab.toml:4: unknown key 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...' in [[nic]]"},
    {"vlan too large", nic_with("vlans = [4095]\n[nic.simnic]\nvlan_slots = 1"),
     "lab.toml:4: 'vlans' in [[nic]] must be a list of numbers from 1 to 4094, each once; 4095 is not"},
    {"vlan twice", nic_with("vlans = [5, 5]\n[nic.simnic]\nvlan_slots = 1"),
     "lab.toml:4: 'vlans' in [[nic]] must be a list of numbers from 1 to 4094, each once; 5 is not"},
    {"vlans without slots", nic_with("vlans = [5]"),
     "lab.toml:4: the nic 'n' has 'vlans', but its card has no VLAN filter; give it vlan_slots in [nic.simnic], or "
     "leave 'vlans' out"},
    {"a card before its nic", "[nic.simnic]\nwire = \"w\"\n[[nic]]\nname = \"n\"\n",
     "lab.toml:3: [[nic]], in double brackets, comes first; what belongs to it follows, like [nic.simnic]"},
    {"one host in single brackets, one in double ones", "[host]\nname = \"a\"\n[[host]]\nname = \"b\"\n",
     "lab.toml:3: [[host]], in double brackets, comes first; what belongs to it follows"},
    {"two letters swapped", nic_with("mut = 1500"), "lab.toml:4: unknown key 'mut' in [[nic]]; did you mean 'mtu'?"},
    {"single brackets", "[nic]\nname = \"n\"\n", "lab.toml:1: write [[nic]], in double brackets, for each nic"},
    {"host is a number", "host = 3\n", "lab.toml:1: write [[host]], in double brackets, for each host"},
};
INSTANTIATE_TEST_SUITE_P(Each, BadConfig, testing::ValuesIn(kBad));

TEST(ConfigText, ThatIsNoTomlNamesTheLine) {
  for (const char* text : {"[[nic]]\nname = \n", "[[nic]]\nname == 3\n", "[[nic]]\nname = 1\nname = 2\n"}) {
    const auto config = parse_config(text, "lab.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_TRUE(config.error().starts_with("lab.toml:2: ") || config.error().starts_with("lab.toml:3: "))
        << config.error();
  }
  const auto not_utf8 = parse_config("[[nic]]\n\xff\xfe = 3\n", "lab.toml");
  ASSERT_FALSE(not_utf8);
  EXPECT_TRUE(not_utf8.error().starts_with("lab.toml:")) << not_utf8.error();
}

// What the TOML library takes for impossible, asserted or not: found by fuzzing.
TEST(ConfigText, ThatNobodyWouldWriteNamesTheLineToo) {
  for (const char* text :
       {"[= 1]\n", "[[=", "[[[a]]]", "n\xc3\xa4me = 1\n", "[\xef\xbb\xbfx = 1\n", "a = \xef\xbb\xbf"}) {
    const auto config = parse_config(text, "lab.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_TRUE(config.error().starts_with("lab.toml:1: ")) << config.error();
  }
}

TEST(ConfigText, VeryManyAddressesAreReadInNoTime) {
  std::string text = "[[nic]]\nname = \"n\"\ndriver = \"dummy\"\naddresses = [";
  for (int i = 1; i < 50'000; ++i)
    text += "\"10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/8\",";
  const auto config = parse_config(text + "]", "f");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->nics[0].addresses.size(), 49'999u);
}

TEST(ConfigFile, ThatCannotBeReadIsASentence) {
  const auto missing = read_config("/nonexistent/lab.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), "cannot read the config /nonexistent/lab.toml: No such file or directory");
  const auto folder = read_config("/tmp");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error(), "cannot read the config /tmp: Is a directory");
}

TEST(ConfigFile, ThatTheMachineCannotOpenIsNoFaultOfTheConfig) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer looks at objects through a pipe, which needs descriptors";
#endif
  try {
    const ctl::NoMoreDescriptors none;
    (void)read_config("/dev/null");
    ADD_FAILURE() << "it was read";
  } catch (const std::runtime_error& refused) {
    EXPECT_TRUE(std::string_view(refused.what()).starts_with("cannot read the config /dev/null: Too many open files"));
  }
}

TEST(IpAddress, IsOfAStationAndHasAPrefix) {
  for (const char* good : {"0.0.0.1/0", "10.9.0.1/24", "::2/0", "fd09::1/128", "::ffff:1.2.3.4/96", "223.0.0.1/8"}) {
    EXPECT_NE(station_octets(good), "") << good;
  }
  for (const char* bad : {"",
                          "/",
                          "10.9.0.1",
                          "10.9.0.1/",
                          "10.9.0.1/-1",
                          "10.9.0.1/33",
                          "10.9.0/24",
                          "fd09::1/129",
                          "fd09::1/ 64",
                          "10.9.0.1/24x",
                          "10.9.0.1/024444",
                          "a/24",
                          "10.9.0.1 /24",
                          "0.0.0.0/0",
                          "::/0",
                          "::1/128",
                          "::1/0",
                          "224.0.0.1/24",
                          "239.1.2.3/8",
                          "255.255.255.255/32",
                          "ff15::1/64"}) {
    EXPECT_EQ(station_octets(bad), "") << bad;
  }
}

TEST(LongKey, IsFoundWhereverItStandsAndNothingElseIs) {
  const auto dotted = [](int parts) {
    std::string key = "a";
    for (int i = 1; i < parts; ++i) key += i % 3 == 0 ? " . \"b.=c\"" : ".'d'";
    return key;
  };
  const std::string most = dotted(kKeyPartsMax), more = dotted(kKeyPartsMax + 1), many(100, '.');
  std::string numbers = "a = [1.5";
  for (int i = 0; i < 20; ++i) numbers += ", 1.5, '1.2.3.4/5'";
  for (const std::string& good :
       {most + " = 1", "[" + most + "]\n" + most + " = { " + most + " = 1, " + most + " = 1 }", "# " + more,
        "a = \"" + many + "\"", "a = \"\\\"" + many + "\"", "a = '" + many + "\\'", "a = '''\n'" + many + "\n'''",
        "a = \"\"\"\n\"\\\"" + many + "\n\"\"\"", "a = \"\" # \n" + most + " = 1", numbers + "]", std::string()}) {
    EXPECT_EQ(line_of_long_key(good), 0) << good;
  }
  for (const std::string& bad :
       {more + " = 1", "[" + more + "]", "[[" + more + "]]", "a = { b = { " + more + " = 1 } }", "a = \"\"." + more,
        "a = '''" + many + "''' ." + more, "a = { b = \"\"\"c\"\"\"\", " + more + " = 1 }",
        "a = { b = '''''''', " + more + " = 1 }"}) {
    EXPECT_EQ(line_of_long_key("# one\n# two\n" + bad), 3) << bad;
  }
  const auto config = parse_config("\n" + dotted(200'000) + " = 1", "f");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error(), "f:2: a key has at most 16 parts");
}

}  // namespace
}  // namespace usernic::daemon
