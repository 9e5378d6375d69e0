// SPDX-License-Identifier: Apache-2.0 OR MIT
// From tables to plain structs, each value checked by itself. What must hold between them is in config_rules.cc.
#include "daemon/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <set>
#include <stdexcept>
#include <utility>

#include "ctl/did_you_mean.h"
#include "daemon/config_names.h"
#include "daemon/config_rules.h"
#include "daemon/config_section.h"
#include "daemon/config_stacks.h"
#include "daemon/drivers.h"
#include "daemon/usb_models.h"
#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr auto kFileKeys = std::to_array<std::string_view>({"host", "nic", "poll", "netconsole"});
constexpr auto kPollKeys = std::to_array<std::string_view>({"threads", "cpus"});
constexpr auto kHostKeys = std::to_array<std::string_view>({"name", "netns"});
constexpr auto kNicKeys = std::to_array<std::string_view>(
    {"name", "host", "driver", "bus", "over", "interface", "port", "address", "mtu", "addresses", "vlans"});

// Its own keys, and the names of the drivers that have a section.
std::span<const std::string_view> nic_keys() {
  static const std::vector<std::string_view> keys = [] {
    std::vector<std::string_view> all(kNicKeys.begin(), kNicKeys.end());
    for (const Driver* driver : drivers()) {
      if (driver->read != nullptr) all.push_back(driver->name);
    }
    return all;
  }();
  return keys;
}

void check_name(Section& section, std::string_view key, const std::string& sentence) {
  if (section.has(key) && !sentence.empty()) section.bad(key, sentence);
}

HostConfig read_host(const ConfigTable& table, int line, FirstError& error) {
  Section section(table, line, "[[host]]", kHostKeys, error);
  HostConfig host{.line = section.line_at("name")};
  section.missing("name", "\"a\"");
  section.text("name", host.name, "a");
  section.text("netns", host.netns, "blue");
  check_name(section, "name", host_name_error(host.name));
  check_name(section, "netns", netns_name_error(host.netns));
  host.netns_line = section.line_at("netns");
  return host;
}

// The interface that is the card.
void read_card_interface(Section& section, NicConfig& nic) {
  section.text("bus", nic.card_interface, "eth1");
  check_name(section, "bus", interface_name_error(nic.card_interface));
}

// Where the card is, for a USB driver.
void read_usb_bus(Section& section, NicConfig& nic) {
  std::string bus;
  section.text("bus", bus, "usbip:127.0.0.1:3240/1-1");
  if (section.given_text("bus") == nullptr) return;
  auto location = usb::Location::parse(bus);
  if (!location) {
    const char* const packet =
        interface_name_error(bus).empty() ? "; the name of an interface goes with driver = \"packet\"" : "";
    return section.bad("bus", fmt::format("{}, not \"{}\"{}", location.error(), ctl::shortened(bus), packet));
  }
  if (location->bus == usb::Location::Bus::kEmulated && find_usb_model(location->model) == nullptr) {
    section.bad("bus", no_usb_model(location->model));
  }
  nic.usb = *std::move(location);
}

void check_bus(Section& section, const NicConfig& nic) {
  const Driver& driver = *nic.driver;
  if (driver.on_interface && !section.has("bus")) {
    section.bad("driver",
                fmt::format("is {}, whose card is an interface of this machine; write bus = \"eth1\"", driver.name));
  } else if (driver.takes != nullptr && !section.has("bus")) {
    section.bad("driver", fmt::format("is {}, which must know where its card is; write bus = "
                                      "\"usbip:127.0.0.1:3240/1-1\"",
                                      driver.name));
  } else if (driver.takes == nullptr && !driver.on_interface && section.has("bus")) {
    section.bad("bus", fmt::format("belongs to a USB driver, or to packet, but this nic's driver is {}", driver.name));
  } else if (nic.mtu > driver.mtu_max) {
    section.bad("mtu",
                fmt::format("must be at most {} with the driver {}, not {}", driver.mtu_max, driver.name, nic.mtu));
  }
}

// The nics that it is on top of.
void read_over(Section& section, NicConfig& nic) {
  if (!section.has("over")) return;
  std::string one;
  if (section.given_text("over") != nullptr) {
    section.text("over", one, "nic0");
    nic.over.push_back(std::move(one));
    return;
  }
  section.list("over", "the name of a nic, or a list of them, each once", [&](const ConfigValue& item) {
    const auto* name = item.as<std::string>();
    if (name == nullptr || std::ranges::find(nic.over, *name) != nic.over.end()) return false;
    nic.over.push_back(*name);
    return true;
  });
}

void check_over(Section& section, const NicConfig& nic) {
  const Driver& driver = *nic.driver;
  if (driver.lowers_max == 0 && section.has("over")) {
    section.bad("over", fmt::format("belongs to a driver of devices on top of others, but this nic's driver is {}",
                                    driver.name));
  } else if (driver.lowers_max != 0) {
    section.missing("over", driver.lowers_max == 1 ? "\"nic0\"" : "[\"nic0\", \"nic1\"]");
    if (section.has("over") && nic.over.empty()) {
      section.bad_at("over", fmt::format("the nic '{}' is over none; name one at least", ctl::shortened(nic.name)));
    }
    if (nic.over.size() > driver.lowers_max) {
      section.bad("over",
                  fmt::format("must be {} with the driver {}, not {}",
                              driver.lowers_max == 1 ? "one nic" : fmt::format("at most {} nics", driver.lowers_max),
                              driver.name, nic.over.size()));
    }
  }
}

void read_driver(Section& section, NicConfig& nic) {
  std::string name;
  if (!section.has("bus")) section.missing("driver", "\"simnic\"");
  section.text("driver", name, "simnic");
  nic.driver = find_driver(name);
  if (nic.driver != nullptr && nic.driver->on_interface) {
    read_card_interface(section, nic);
  } else {
    read_usb_bus(section, nic);
  }
  if (section.given_text("driver") == nullptr) return;
  if (nic.driver != nullptr) return check_over(section, nic), check_bus(section, nic);
  const auto known = driver_names();
  section.bad("driver", fmt::format("names no driver: '{}'{}", ctl::shortened(name), ctl::suggestion(name, known)));
}

// [nic.NAME]
void read_driver_section(Section& nic_section, const Driver& driver, NicConfig& nic, FirstError& error) {
  const std::string name = fmt::format("[nic.{}]", driver.name);
  const ConfigValue* const value = nic_section.value(driver.name);
  if (value == nullptr) {
    if (nic.driver != &driver) return;
    static const ConfigTable empty;
    Section section(empty, nic.line, name, driver.keys, error);
    return driver.read(section, nic);
  }
  const auto* table = value->as<ConfigTable>();
  if (table == nullptr) return nic_section.bad(driver.name, fmt::format("must be a table: write {}", name));
  if (nic.driver != nullptr && nic.driver != &driver) {
    return nic_section.bad(driver.name, fmt::format("belongs to the driver {}, but this nic's driver is {}",
                                                    driver.name, nic.driver->name));
  }
  Section section(*table, value->line, name, driver.keys, error);
  driver.read(section, nic);
}

bool take_vlan(const ConfigValue& item, std::vector<uint16_t>& vlans) {
  const auto* id = item.as<int64_t>();
  if (id == nullptr || *id < 1 || *id > kVlanIdMax) return false;
  const auto vlan = static_cast<uint16_t>(*id);
  if (std::ranges::find(vlans, vlan) != vlans.end()) return false;
  vlans.push_back(vlan);
  return true;
}

// `known`: the octets of those before.
bool take_address(const ConfigValue& item, std::vector<std::string>& addresses, std::set<std::string>& known) {
  const auto* text = item.as<std::string>();
  if (text == nullptr) return false;
  std::string octets = station_octets(*text);
  if (octets.empty() || !known.insert(std::move(octets)).second) return false;
  addresses.push_back(*text);
  return true;
}

// What its interface is.
void read_port(Section& section, NicConfig& nic) {
  std::string port;
  section.text("port", port, "veth");
  if (section.given_text("port") == nullptr) return;
  if (port != "tap" && port != "veth") {
    return section.bad("port", fmt::format("must be \"tap\" or \"veth\", not \"{}\"", ctl::shortened(port)));
  }
  nic.port = port == "tap" ? PortKind::kTap : PortKind::kVeth;
}

NicConfig read_nic(const ConfigTable& table, int line, FirstError& error) {
  Section section(table, line, "[[nic]]", nic_keys(), error);
  NicConfig nic;
  nic.line = section.line_at("name");
  nic.host_line = section.line_at("host");
  nic.address_line = section.line_at("address");
  nic.mtu_line = section.line_at("mtu");
  nic.vlans_line = section.line_at("vlans");
  nic.over_line = section.line_at("over");
  nic.addresses_line = section.line_at("addresses");
  nic.mtu_given = section.has("mtu");
  nic.interface_given = section.has("interface");
  section.missing("name", "\"nic0\"");
  section.text("name", nic.name, "nic0");
  check_name(section, "name", interface_name_error(nic.name));
  section.text("host", nic.host, "a");
  check_name(section, "host", host_name_error(nic.host));
  section.flag("interface", nic.interface);
  read_port(section, nic);
  section.number("mtu", nic.mtu, kMtuMin, kMtuMax);
  read_over(section, nic);
  read_driver(section, nic);
  for (const Driver* driver : drivers()) {
    if (driver->read != nullptr) read_driver_section(section, *driver, nic, error);
  }

  std::string address;
  section.text("address", address, "02:00:00:00:00:01");
  if (section.given_text("address") != nullptr) {
    nic.address = MacAddress::parse(address).value_or(MacAddress{});
    if (!nic.address.is_valid_own()) {
      section.bad("address", fmt::format("must be a unicast address like \"02:00:00:00:00:01\", not \"{}\"",
                                         ctl::shortened(address)));
    }
  }
  std::set<std::string> octets;
  section.list("addresses", "a list of unicast addresses like \"10.9.0.1/24\" or \"fd09::1/64\", not ::1, each once",
               [&](const ConfigValue& item) { return take_address(item, nic.addresses, octets); });
  if (section.has("vlans")) nic.vlans.emplace();
  section.list("vlans", "a list of numbers from 1 to 4094, each once",
               [&](const ConfigValue& item) { return take_vlan(item, *nic.vlans); });
  return nic;
}

PollConfig read_poll(const ConfigTable& table, int line, FirstError& error) {
  Section section(table, line, "[poll]", kPollKeys, error);
  PollConfig poll;
  section.number("threads", poll.threads, 1, kPollThreadsMax);
  section.list("cpus", fmt::format("a list of CPU numbers from 0 to {}, each once", kCpuMax),
               [&](const ConfigValue& item) {
                 const auto* cpu = item.as<int64_t>();
                 if (cpu == nullptr || *cpu < 0 || *cpu > kCpuMax) return false;
                 if (std::ranges::find(poll.cpus, *cpu) != poll.cpus.end()) return false;
                 poll.cpus.push_back(static_cast<int>(*cpu));
                 return true;
               });
  return poll;
}

// Calls `take` with [name], if the file has it.
template <class Take>
void one(const ConfigTable& file, std::string_view name, FirstError& error, Take&& take) {
  const ConfigValue* const value = file.find(name);
  if (value == nullptr) return;
  const auto* table = value->as<ConfigTable>();
  if (table == nullptr) return error.note(value->line, fmt::format("write [{}], once, in single brackets", name));
  take(*table, value->line);
}

// Calls `take` with each [[name]] of the file.
template <class Take>
void each(const ConfigTable& file, std::string_view name, FirstError& error, Take&& take) {
  const ConfigValue* const value = file.find(name);
  if (value == nullptr) return;
  const auto* list = value->as<ConfigList>();
  const auto is_table = [](const ConfigValue& item) { return item.as<ConfigTable>() != nullptr; };
  if (list == nullptr || !std::ranges::all_of(*list, is_table)) {
    return error.note(value->line, fmt::format("write [[{0}]], in double brackets, for each {0}", name));
  }
  for (const ConfigValue& item : *list) take(*item.as<ConfigTable>(), item.line);
}

}  // namespace

std::span<const std::string_view> config_keys(ConfigSection section) {
  switch (section) {
    case ConfigSection::kFile:
      return kFileKeys;
    case ConfigSection::kHost:
      return kHostKeys;
    case ConfigSection::kNic:
      return nic_keys();
    case ConfigSection::kPoll:
      return kPollKeys;
    case ConfigSection::kNetconsole:
      return netconsole_keys();
  }
  std::unreachable();
}

std::expected<Config, std::string> parse_config(std::string_view text, const std::string& file) {
  FirstError error;
  const ConfigValue tree = read_tree(text, error);
  if (error) return std::unexpected(error.sentence(file));
  const ConfigTable& table = *tree.as<ConfigTable>();
  const Section section(table, 1, "the file", kFileKeys, error);
  Config config{.file = file};
  each(table, "host", error, [&](const auto& host, int line) { config.hosts.push_back(read_host(host, line, error)); });
  each(table, "nic", error, [&](const auto& nic, int line) { config.nics.push_back(read_nic(nic, line, error)); });
  one(table, "poll", error, [&](const auto& poll, int line) { config.poll = read_poll(poll, line, error); });
  one(table, "netconsole", error,
      [&](const auto& netconsole, int line) { config.netconsole = read_netconsole(netconsole, line, error); });
  settle_stacks(config, error);
  settle_netconsole(config, error);
  check_rules(config, error);
  if (error) return std::unexpected(error.sentence(file));
  return config;
}

std::expected<Config, std::string> read_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  if (!file || (!file.read(text.data(), static_cast<std::streamsize>(text.size())) && file.bad())) {
    const auto error = static_cast<std::errc>(errno);
    std::string sentence = fmt::format("cannot read the config {}: {}", path, refusal(error));
    for (const std::errc refused :
         {std::errc::not_enough_memory, std::errc::too_many_files_open, std::errc::too_many_files_open_in_system}) {
      if (error == refused) throw std::runtime_error(sentence);
    }
    return std::unexpected(std::move(sentence));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) return std::unexpected(fmt::format("the config {} is larger than 1 MiB", path));
  return parse_config(text, path);
}

}  // namespace usernic::daemon
