// SPDX-License-Identifier: Apache-2.0
// The one file that includes toml++: from text to plain structs, each value checked by itself. What must hold between
// them is in config_rules.cc.
#include "daemon/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "daemon/config_keys.h"
#include "daemon/config_names.h"
#include "daemon/config_rules.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace usernic::daemon {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr auto kFileKeys = std::to_array<std::string_view>({"host", "nic"});
constexpr auto kHostKeys = std::to_array<std::string_view>({"name", "netns"});
constexpr auto kNicKeys =
    std::to_array<std::string_view>({"name", "host", "driver", "address", "mtu", "addresses", "vlans", "simnic"});
constexpr auto kSimnicKeys = std::to_array<std::string_view>(
    {"wire", "unicast_slots", "multicast_slots", "shared_slots", "unicast_hash_bits", "multicast_hash_bits",
     "vlan_slots", "promisc", "allmulti", "command_latency_us", "rx_descriptors", "tx_descriptors"});
constexpr auto kDrivers = std::to_array<std::string_view>({"dummy", "simnic"});

int line_of(const toml::node& node) {
  return static_cast<int>(node.source().begin.line);
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or a time";
  }
}

// One table of the file. Getters leave `value` as it is when the key is not there, and note what is wrong.
class Section {
 public:
  Section(const toml::table& table, std::string name, std::span<const std::string_view> keys, FirstError& error)
      : table_(table), name_(std::move(name)), error_(error) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      error_.note(line_of(node),
                  fmt::format("unknown key '{}' in {}{}", shortened(key.str()), name_, suggestion(key.str(), keys)));
    }
  }

  int line() const { return line_of(table_); }
  int line_at(std::string_view key) const { return table_.contains(key) ? line_of(*table_.get(key)) : line(); }
  bool has(std::string_view key) const { return table_.contains(key); }
  const toml::node* node(std::string_view key) const { return table_.get(key); }

  void text(std::string_view key, std::string& value, std::string_view example) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (const auto* text = node->as_string()) {
      value = text->get();
    } else {
      wrong(*node, key, fmt::format("a text in quotes, like \"{}\"", example));
    }
  }
  template <class T>
  void number(std::string_view key, T& value, int64_t min, int64_t max) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto* number = node->as_integer();
    if (number != nullptr && number->get() >= min && number->get() <= max) {
      value = static_cast<T>(number->get());
      return;
    }
    const std::string right = fmt::format("a whole number from {} to {}", min, max);
    if (number == nullptr) return wrong(*node, key, right);
    error_.note(line_of(*node), fmt::format("'{}' in {} must be {}, not {}", key, name_, right, number->get()));
  }
  void flag(std::string_view key, bool& value) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (const auto* flag = node->as_boolean()) {
      value = flag->get();
    } else {
      wrong(*node, key, "true or false");
    }
  }
  // The items of a list, each of which `take` must accept.
  template <class Take>
  void list(std::string_view key, std::string_view right, Take&& take) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong(*node, key, right);
    for (const toml::node& item : *array) {
      if (!take(item)) bad_item(item, key, right);
    }
  }
  void bad(std::string_view key, std::string_view what) {
    error_.note(line_at(key), fmt::format("'{}' in {} {}", key, name_, what));
  }
  void missing(std::string_view key, std::string_view example) {
    if (!has(key)) error_.note(line(), fmt::format("{} has no '{}'; write {} = \"{}\"", name_, key, key, example));
  }

 private:
  void bad_item(const toml::node& item, std::string_view key, std::string_view right) {
    const auto* text = item.as_string();
    const auto* number = item.as_integer();
    const std::string it = text != nullptr     ? fmt::format("\"{}\"", shortened(text->get()))
                           : number != nullptr ? fmt::format("{}", number->get())
                                               : std::string(kind_of(item));
    error_.note(line_of(item), fmt::format("'{}' in {} must be {}; {} is not", key, name_, right, it));
  }
  void wrong(const toml::node& node, std::string_view key, std::string_view right) {
    error_.note(line_of(node), fmt::format("'{}' in {} must be {}, not {}", key, name_, right, kind_of(node)));
  }

  const toml::table& table_;
  const std::string name_;
  FirstError& error_;
};

void check_name(Section& section, std::string_view key, const std::string& sentence) {
  if (section.has(key) && !sentence.empty()) section.bad(key, sentence);
}

HostConfig read_host(const toml::table& table, FirstError& error) {
  Section section(table, "[[host]]", kHostKeys, error);
  HostConfig host{.line = section.line_at("name")};
  section.missing("name", "a");
  section.text("name", host.name, "a");
  section.text("netns", host.netns, "blue");
  check_name(section, "name", host_name_error(host.name));
  check_name(section, "netns", netns_name_error(host.netns));
  return host;
}

void read_simnic(const toml::table& table, SimnicConfig& simnic, FirstError& error) {
  Section section(table, "[nic.simnic]", kSimnicKeys, error);
  section.text("wire", simnic.wire, "w0");
  section.number("unicast_slots", simnic.unicast_slots, 0, kSimnicSlotsMax);
  section.number("multicast_slots", simnic.multicast_slots, 0, kSimnicSlotsMax);
  section.flag("shared_slots", simnic.shared_slots);
  section.number("unicast_hash_bits", simnic.unicast_hash_bits, 0, kSimnicHashBitsMax);
  section.number("multicast_hash_bits", simnic.multicast_hash_bits, 0, kSimnicHashBitsMax);
  section.number("vlan_slots", simnic.vlan_slots, 0, kSimnicVlansMax);
  section.flag("promisc", simnic.promisc);
  section.flag("allmulti", simnic.allmulti);
  section.number("command_latency_us", simnic.command_latency_us, 0, kSimnicLatencyUsMax);
  section.number("rx_descriptors", simnic.rx_descriptors, 1, kSimnicDescriptorsMax);
  section.number("tx_descriptors", simnic.tx_descriptors, 1, kSimnicDescriptorsMax);
  // What is wrong with a card as a whole names its field first.
  const std::string sentence = config_error(simnic);
  const auto at = section.line_at(std::string_view(sentence).substr(0, sentence.find(' ')));
  if (!sentence.empty()) error.note(at, "in [nic.simnic], " + sentence);
}

void read_driver(Section& section, NicConfig& nic, FirstError& error) {
  std::string driver;
  section.missing("driver", "simnic");
  section.text("driver", driver, "simnic");
  const auto known = std::ranges::find(kDrivers, driver);
  if (known != kDrivers.end()) {
    nic.driver = static_cast<DriverKind>(known - kDrivers.begin());
  } else if (section.has("driver") && section.node("driver")->is_string()) {
    section.bad("driver", fmt::format("names no driver: '{}'{}", shortened(driver), suggestion(driver, kDrivers)));
  }
  const toml::node* simnic = section.node("simnic");
  if (simnic == nullptr) return;
  if (!simnic->is_table()) {
    section.bad("simnic", "must be a table: write [nic.simnic]");
  } else if (known != kDrivers.end() && nic.driver != DriverKind::kSimnic) {
    section.bad("simnic", fmt::format("belongs to the driver simnic, but this nic's driver is {}", driver));
  } else {
    read_simnic(*simnic->as_table(), nic.simnic, error);
  }
}

bool take_vlan(const toml::node& item, std::vector<uint16_t>& vlans) {
  const auto* id = item.as_integer();
  if (id == nullptr || id->get() < 1 || id->get() > kSimnicVlansMax) return false;
  const auto vlan = static_cast<uint16_t>(id->get());
  if (std::ranges::find(vlans, vlan) != vlans.end()) return false;
  vlans.push_back(vlan);
  return true;
}

bool take_address(const toml::node& item, std::vector<std::string>& addresses) {
  const auto* text = item.as_string();
  if (text == nullptr) return false;
  const std::string octets = station_octets(text->get());
  const bool twice = std::ranges::any_of(addresses, [&](const auto& other) { return station_octets(other) == octets; });
  if (octets.empty() || twice) return false;
  addresses.push_back(text->get());
  return true;
}

NicConfig read_nic(const toml::table& table, FirstError& error) {
  Section section(table, "[[nic]]", kNicKeys, error);
  NicConfig nic;
  nic.line = section.line_at("name");
  nic.host_line = section.line_at("host");
  nic.address_line = section.line_at("address");
  nic.mtu_line = section.line_at("mtu");
  nic.vlans_line = section.line_at("vlans");
  section.missing("name", "nic0");
  section.text("name", nic.name, "nic0");
  check_name(section, "name", interface_name_error(nic.name));
  section.text("host", nic.host, "a");
  check_name(section, "host", host_name_error(nic.host));
  read_driver(section, nic, error);

  std::string address;
  section.text("address", address, "02:00:00:00:00:01");
  if (section.has("address") && section.node("address")->is_string()) {
    nic.address = MacAddress::parse(address).value_or(MacAddress{});
    if (!nic.address.is_valid_own()) {
      section.bad("address",
                  fmt::format("must be a unicast address like \"02:00:00:00:00:01\", not \"{}\"", shortened(address)));
    }
  }
  section.number("mtu", nic.mtu, kMtuMin, kMtuMax);
  section.list("addresses", "a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", each once",
               [&](const toml::node& item) { return take_address(item, nic.addresses); });
  if (section.has("vlans")) nic.vlans.emplace();
  section.list("vlans", "a list of numbers from 1 to 4094, each once",
               [&](const toml::node& item) { return take_vlan(item, *nic.vlans); });
  return nic;
}

// Calls `take` with each [[name]] of the file.
template <class Take>
void each(const toml::table& file, std::string_view name, FirstError& error, Take&& take) {
  const toml::node* node = file.get(name);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  const bool are_tables = array != nullptr && std::ranges::all_of(*array, [](const auto& n) { return n.is_table(); });
  if (!are_tables)
    return error.note(line_of(*node), fmt::format("write [[{0}]], in double brackets, for each {0}", name));
  for (const toml::node& item : *array) take(*item.as_table());
}

}  // namespace

std::string_view driver_name(DriverKind kind) {
  return kDrivers[static_cast<size_t>(kind)];
}

std::expected<Config, std::string> parse_config(std::string_view text, const std::string& file) {
  FirstError error;
  if (const int line = line_of_long_key(text); line != 0) {
    error.note(line, fmt::format("a key has at most {} parts", kKeyPartsMax));
    return std::unexpected(error.sentence(file));
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    error.note(static_cast<int>(parsed.error().source().begin.line), std::string(parsed.error().description()));
    return std::unexpected(error.sentence(file));
  }
  const toml::table& table = parsed.table();
  const Section section(table, "the file", kFileKeys, error);
  Config config{.file = file};
  each(table, "host", error, [&](const toml::table& host) { config.hosts.push_back(read_host(host, error)); });
  each(table, "nic", error, [&](const toml::table& nic) { config.nics.push_back(read_nic(nic, error)); });
  check_rules(config, error);
  if (error) return std::unexpected(error.sentence(file));
  return config;
}

std::expected<Config, std::string> read_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  if (!file || (!file.read(text.data(), static_cast<std::streamsize>(text.size())) && file.bad())) {
    return std::unexpected(fmt::format("cannot read the config {}: {}", path, std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) return std::unexpected(fmt::format("the config {} is larger than 1 MiB", path));
  return parse_config(text, path);
}

}  // namespace usernic::daemon
